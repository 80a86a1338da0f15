"""How a model may be named, and what may be said beside each name; known before torch is imported."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from toolkit.errors import BadInput

_HUGGING_FACE, _EXPORTED = "hf:", ".pt2"
# The first is a file of safetensors, the others are what `torch.save` wrote.
WEIGHTS = (".safetensors", ".pt", ".pth", ".bin")
# What a Hugging Face directory's model may be for.
HfTask = Literal[
    "image-classification",
    "image-segmentation",
    "object-detection",
    "text-classification",
    "token-classification",
    "audio-classification",
]


@dataclass(frozen=True)
class NamedModel:
    """A factory, an exported program or a Hugging Face directory, and what was said beside it.

    `weights` go into what a factory makes; `hf_task` says what a directory's model is for, None: what its config.json
    says, and `trust_remote_code` that its own code may run.
    """

    name: str
    weights: Path | None = None
    hf_task: HfTask | None = None
    trust_remote_code: bool = False


def is_hugging_face(model: str) -> bool:
    """A directory, as `save_pretrained` writes it: hf:DIR."""
    return model.startswith(_HUGGING_FACE)


def directory_of(model: str) -> Path:
    """DIR of hf:DIR."""
    return Path(model.removeprefix(_HUGGING_FACE)).expanduser()  # a shell leaves hf:~/DIR as it is


def is_exported(model: str) -> bool:
    """A file that `torch.export.save` wrote."""
    return model.endswith(_EXPORTED)


def require_model_options(model: NamedModel) -> None:
    """Raises BadInput for an option that says nothing of a model named so, and for weights that are not there."""
    name, weights = model.name, model.weights
    if weights is not None and (is_hugging_face(name) or is_exported(name)):
        raise BadInput(
            f"has no effect on {name}, which brings its own",
            where=f"--weights {weights}",
            next="Leave it out, or name a factory: --model package.module:function.",
        )
    if weights is not None and not weights.is_file():
        raise BadInput("there is no such file", where=f"--weights {weights}", next=f"Give one of {', '.join(WEIGHTS)}.")
    for option, is_given in (
        ("--hf-task", model.hf_task is not None),
        ("--trust-remote-code", model.trust_remote_code),
    ):
        if is_given and not is_hugging_face(name):
            raise BadInput(
                f"has no effect on {name}", where=option, next="Leave it out, or name a directory: --model hf:DIR."
            )
