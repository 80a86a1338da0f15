"""The model that a user named, whatever it comes from, as all other stages want it: plain and in eval mode."""

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import torch
from torch import nn

from toolkit.cache import digest
from toolkit.errors import BadInput
from toolkit.factories import call_factory
from toolkit.model_name import NamedModel, directory_of, is_exported, is_hugging_face
from toolkit.origins.exported import load_exported
from toolkit.origins.hugging_face import load_directory
from toolkit.origins.weights import put_weights
from toolkit.plain import make_plain, unwrapped


def load_model(
    named: NamedModel,
    on_progress: Callable[[int, int], None] | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> nn.Module:
    """The model comes plain, on the CPU; `note` is told how one of a Hugging Face directory takes its inputs.

    Raises BadInput if there is no such model, or it cannot travel (see `make_plain`), or holds NaN or infinity.
    """
    spec = named.name
    if is_hugging_face(spec):
        model = load_directory(directory_of(spec), named.hf_task, named.trust_remote_code, note)
    elif is_exported(spec):
        model = load_exported(Path(spec))
    else:
        model = unwrapped(call_factory(spec, "model", nn.Module, on_progress=on_progress))
        if named.weights is not None:
            put_weights(model, named.weights)
    model = make_plain(model, spec)
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise BadInput(
                f"{int((~torch.isfinite(tensor)).sum())} values of '{name}' are NaN or infinite",
                where=str(named.weights or spec),
                next="Load a checkpoint that was saved before training diverged.",
            )
    return model


def identity(spec: str) -> str:
    """A digest of what a model depends on beside its weights, its modules and its code, for the keys of results."""
    if is_exported(spec):
        return digest(Path(spec).read_bytes())
    if is_hugging_face(spec):
        files = sorted(directory_of(spec).glob("*.json"))
        return digest(version("transformers"), *(part for file in files for part in (file.name, file.read_bytes())))
    return digest(spec.partition("?")[2])
