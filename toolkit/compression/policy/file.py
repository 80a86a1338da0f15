"""A trained policy as one safetensors file: tensors, and in the header a JSON text that says what they belong to."""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from toolkit.compression.policy.embedding import LAYER_FEATURES, TASK_FEATURES
from toolkit.compression.policy.fingerprint import Fingerprint
from toolkit.compression.policy.network import Policy, PolicyNetwork
from toolkit.errors import BadInput, first_line

SCHEMA_VERSION = 2
_KEY, _SKETCH, _NEXT = "edge-deploy-policy", "backbone.sketch", "Train the policy again, or choose allocator exact."


def save_policy(policy: Policy, path: Path) -> None:
    """Write the file; what stood there is replaced."""
    header = {
        "schema_version": SCHEMA_VERSION,
        "layers": policy.backbone.shapes,
        "layer_features": LAYER_FEATURES,
        "task_features": TASK_FEATURES,
    }
    tensors = {_SKETCH: policy.backbone.sketch, **policy.network.state_dict()}
    save_file({name: value.contiguous() for name, value in tensors.items()}, path, {_KEY: json.dumps(header)})


def load_policy(path: Path) -> Policy:
    """Read what `save_policy` wrote. Raises BadInput if it is damaged, no policy, or of another version."""
    try:
        with safe_open(path, "pt") as file:
            text = (file.metadata() or {}).get(_KEY)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise BadInput(f"cannot be read as a policy: {error}", where=str(path), next=_NEXT) from None
    if text is None:
        raise BadInput("holds tensors, but no policy", where=str(path), next=_NEXT)
    try:
        header = json.loads(text)
        version = header["schema_version"]
        if version != SCHEMA_VERSION:
            raise BadInput(f"is a policy of version {version}; this is {SCHEMA_VERSION}", where=str(path), next=_NEXT)
        if (header["layer_features"], header["task_features"]) != (list(LAYER_FEATURES), list(TASK_FEATURES)):
            raise BadInput("was trained on other task embeddings", where=str(path), next=_NEXT)
        shapes = {str(layer): (int(m), int(n)) for layer, (m, n) in header["layers"].items()}
        sketch = tensors.pop(_SKETCH)
        network = PolicyNetwork()
        network.load_state_dict(tensors)
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        first = first_line(error)
        raise BadInput(f"is a damaged policy: {first}", where=str(path), next=_NEXT) from None
    if not all(torch.isfinite(value).all() for value in (sketch, *tensors.values())):
        raise BadInput("is a damaged policy: it holds NaN or infinity", where=str(path), next=_NEXT)
    return Policy(Fingerprint(shapes, sketch), network.eval())
