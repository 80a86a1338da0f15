"""The model of a Hugging Face directory, by the automatic class that its config.json asks for."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from toolkit.errors import BadInput, first_line
from toolkit.few import few
from toolkit.model_name import HfTask
from toolkit.origins.directory import Directory, read_directory
from toolkit.origins.processors import of_floats
from toolkit.quiet import quiet

# By task: the automatic class, and where transformers list the architectures that it makes.
_AUTO: dict[HfTask, tuple[str, str]] = {
    "image-classification": (
        "AutoModelForImageClassification",
        "MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES",
    ),
    "image-segmentation": (
        "AutoModelForSemanticSegmentation",
        "MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING_NAMES",
    ),
    "object-detection": (
        "AutoModelForObjectDetection",
        "MODEL_FOR_OBJECT_DETECTION_MAPPING_NAMES",
    ),
    "text-classification": (
        "AutoModelForSequenceClassification",
        "MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES",
    ),
    "token-classification": (
        "AutoModelForTokenClassification",
        "MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES",
    ),
    "audio-classification": (
        "AutoModelForAudioClassification",
        "MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES",
    ),
}
# What does not fit is told by us: the library says it over many lines.
_LOADED = {"dtype": torch.float32, "output_loading_info": True, "ignore_mismatched_sizes": True}


def load_directory(path: Path, asked: HfTask | None, trusted: bool, note: Callable[[str], None]) -> nn.Module:
    """Its model, behind what its processor does to images or recordings, for the task that was `asked` for or is its.

    Raises BadInput if it is no such directory, for no task of these, quantised, needs code that is not `trusted`, or
    its weights are of other shapes, or missing; those of a task that was asked for are new, and told.
    """
    directory = read_directory(path, trusted)
    try:
        with quiet():
            import transformers
    except ImportError:
        raise BadInput(
            "needs transformers",
            where=directory.where,
            next="In the checkout: .venv/bin/pip install -c constraints.txt -e '.[hf]'.",
        ) from None
    _require_ours(directory, transformers)
    task = asked or _task_of(directory, transformers)
    try:
        with quiet():
            kind = getattr(transformers, _AUTO[task][0])
            model, info = kind.from_pretrained(path, **_LOADED, **directory.options)
    except Exception as error:  # the library, and code of others in it, raises whatever a directory leads it to
        if "Unrecognized configuration class" in str(error):
            model_type = directory.config.get("model_type", "model of this kind")
            raise BadInput(
                f"no {model_type} is for {task}", where=directory.where, next="Choose another --hf-task."
            ) from None
        raise BadInput(
            f"cannot be loaded for {task}: {first_line(error)}",
            where=directory.where,
            next="Save it again with save_pretrained, or choose another --hf-task.",
        ) from None
    if others := sorted(f"{name} {tuple(saved)} for {tuple(own)}" for name, saved, own in info["mismatched_keys"]):
        raise BadInput(
            f"has {len(others)} weights of another shape than its config.json says ({few(others)})",
            where=directory.where,
            next="Save the whole model again, with save_pretrained.",
        )
    if missing := sorted(info["missing_keys"]):
        lacks = f"has no weights for {len(missing)} tensors ({few(missing)})"
        if asked is None:
            raise BadInput(lacks, where=directory.where, next="Save the whole model again, with save_pretrained.")
        note(f"{directory.where} {lacks}: they are random")
    return of_floats(directory, task, model, note)


def _require_ours(directory: Directory, transformers: Any) -> None:
    known = transformers.models.auto.configuration_auto.CONFIG_MAPPING_NAMES
    brings_code = "auto_map" in directory.config and directory.config.get("model_type") not in known
    if brings_code and not directory.trusted:
        raise BadInput(
            "needs code of its own, which would run here",
            where=directory.where,
            next="Read that code, and give --trust-remote-code.",
        )
    if "quantization_config" in directory.config:
        raise BadInput(
            "is quantised already", where=directory.where, next="Give the fp32 model: deploy quantises it itself."
        )


def _task_of(directory: Directory, transformers: Any) -> HfTask:
    """By the architecture, or by the automatic class that its own code is for."""
    architectures = directory.config.get("architectures") or []
    mapped = directory.config.get("auto_map") or {}
    for task, (kind, names) in _AUTO.items():
        classes = _flat(getattr(transformers.models.auto.modeling_auto, names).values())
        if classes & set(architectures) or kind in mapped:
            return task
    raise BadInput(
        f"is for no task that is known ({', '.join(architectures) or 'its config.json names no architecture'})",
        where=directory.where,
        next=f"Give --hf-task {' | '.join(_AUTO)}, which puts a new head on it.",
    )


def _flat(names: Iterable[str | tuple[str, ...]]) -> set[str]:
    return {each for name in names for each in ((name,) if isinstance(name, str) else name)}
