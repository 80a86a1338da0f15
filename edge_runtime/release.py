"""An installed release as the agent reads it: manifest, programs, tensors, and what this board has learned on top."""

import os

import numpy as np

from .program import load
from .quantise import quantise
from .tensors import read_arrays


def load_tensors(folder: str, adapted: "str | None") -> "dict[str, np.ndarray]":
    """The release's tensors, with those this board has adapted in their place if `adapted` exists."""
    tensors = read_arrays(os.path.join(folder, "tensors.safetensors"))
    if adapted and os.path.isfile(adapted):
        tensors.update(read_arrays(adapted))
    return tensors


def load_inference(folder: str, manifest, tensors, threads: int):  # type: ignore[no-untyped-def]
    """The inference program: [x] -> [logits, features], with cores folded into its holes."""
    return load(
        manifest["runtime"],
        os.path.join(folder, manifest["infer"]["program"]),
        fill_holes(manifest, tensors),
        threads,
    )


def fill_holes(manifest, tensors):  # type: ignore[no-untyped-def]
    """What fills the holes of the inference program, in order: core x basis where a core folds in, else the tensor.

    Holes in `quantised_holes` (manifests of before have none) are filled by two arrays each, see `quantise`.
    """
    cores = {fold["hole"]: fold["core"] for fold in manifest["folds"]}
    quantised = manifest["infer"].get("quantised_holes", [])
    holes: "dict[str, np.ndarray]" = {}
    for name in manifest["infer"]["holes"]:
        basis = tensors[name]
        if name in cores:
            core = tensors[cores[name]]
            rank = core.shape[0]
            basis = (core.reshape(rank, rank) @ basis.reshape(rank, -1)).reshape(basis.shape)
        value = np.ascontiguousarray(basis, np.float32)
        holes.update(quantise(name, value) if name in quantised else {name: value})
    return holes
