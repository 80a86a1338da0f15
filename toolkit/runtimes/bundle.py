"""Bundle: the files of one release and a manifest with the SHA-256 of each, whose own digest names the release."""

import hashlib
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import nn
from torch.export import ExportedProgram

from edge_runtime.release import fill_holes, load_tensors
from toolkit.choice import Precision
from toolkit.compression import compact_layers, fold_all
from toolkit.devices.digests import sha256_of
from toolkit.devices.releases.manifest import NAME, VERSION
from toolkit.inputs import Inputs
from toolkit.models import Reader
from toolkit.preprocessing import TOKENIZER, Preprocessing
from toolkit.runtimes.arithmetic import Quantisation
from toolkit.runtimes.learning import GUARD, Learning
from toolkit.runtimes.program import Nodes, Program, Runtime, export_with_holes
from toolkit.runtimes.tolerance import TOLERANCES

TENSORS, LAYOUT = "tensors.safetensors", "holes.layout"
# Of the inference program, in order; without a head there are no features beside the outputs.
OUTPUTS = ("logits", "features")


@dataclass(frozen=True)
class Bundle:
    """A folder ready to be pushed. `inference_bytes` is what serving loads: the inference program and its tensors."""

    folder: Path
    digest: str
    manifest: dict[str, Any]
    inference_bytes: int
    total_bytes: int
    nodes: Nodes

    @property
    def tolerance(self) -> float | None:
        """How far the board's outputs may be from the host's, as a share of the largest; None if it does not say."""
        said: float | None = self.manifest.get("acceptance", {}).get("tolerance")
        return said

    @property
    def hindrance(self) -> str | None:
        """What the board's training is less than it could be, and why; None if nothing."""
        said: str | None = self.manifest["hindrance"]
        return said

    @property
    def learns(self) -> bool:
        """Whether a board can learn with it."""
        return self.manifest["learn"] is not None

    @property
    def left_in_fp32(self) -> tuple[str, ...]:
        """Layers and kinds of operators that the runtime has no int8 for, though it was asked for."""
        return tuple(self.manifest["infer"].get("left_in_fp32", ()))


class Served(nn.Module):
    """What a board runs: inputs -> (logits, features)."""

    def __init__(self, backbone: nn.Module, head: Reader) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Outputs, of a classifier logits over the task's classes, and the features they were read from.

        Features of pixels are many times what is read from them, and nobody's.
        """
        features = self.backbone(*inputs)
        if not isinstance(self.head, nn.Linear):
            return (self.head(features),)
        return self.head(features), features


HEAD = ("head.weight", "head.bias")


def serving_holes(backbone: nn.Module, head: Reader) -> tuple[str, ...]:
    """Holes of the inference program: where each core folds in, and the head, if it has weights."""
    return (*(f"backbone.{name}.down.weight" for name in compact_layers(backbone)), *_of_head(head))


def trainable_names(backbone: nn.Module, head: Reader) -> tuple[str, ...]:
    """What the board may train: the cores and the head, if it has weights."""
    return (*(f"backbone.{name}.core.weight" for name in compact_layers(backbone)), *_of_head(head))


def _of_head(head: Reader) -> tuple[str, ...]:
    return () if isinstance(head, nn.Identity) else HEAD


def inference_graph(backbone: nn.Module, head: Reader, x: Inputs) -> tuple[ExportedProgram, tuple[str, ...]]:
    """What a (compact) backbone and head compute on one example `x`, and the holes in it."""
    holes = serving_holes(backbone, head)
    return export_with_holes(Served(fold_all(backbone), head), x, holes), holes


def export_inference(
    runtime: Runtime,
    backbone: nn.Module,
    head: Reader,
    x: Inputs,
    quantisation: Quantisation | None = None,
) -> Program:
    """The inference program of a (compact) backbone and head, on one example `x`.

    `quantisation`, and the program's `fp32_layers`, name modules of the backbone. The head stays fp32: boards learn it.
    """
    graph, holes = inference_graph(backbone, head, x)
    if quantisation is None:
        return runtime.export(graph, holes)
    program = runtime.export(graph, holes, of_served(quantisation))
    return replace(program, fp32_layers=tuple(name.removeprefix("backbone.") for name in program.fp32_layers))


def of_served(quantisation: Quantisation) -> Quantisation:
    """The same with modules of a backbone named as `Served` has them, and the head in fp32."""
    named = {f"backbone.{name}" for name in quantisation.fp32_layers}
    return replace(quantisation, fp32_layers=frozenset({"head", *named}))


def serving_tensors(backbone: nn.Module, head: Reader) -> dict[str, np.ndarray]:
    """Cores, their bases and the head, by name: what fills the holes of the inference program."""
    tensors: dict[str, torch.Tensor] = {name: head.get_parameter(name.removeprefix("head.")) for name in _of_head(head)}
    for name, layer in compact_layers(backbone).items():
        tensors[f"backbone.{name}.core.weight"] = layer.core.weight
        tensors[f"backbone.{name}.down.weight"] = layer.down.weight
    return {name: np.ascontiguousarray(tensor.detach().numpy()) for name, tensor in tensors.items()}


@torch.no_grad()
def write_bundle(
    folder: Path,
    runtime: Runtime,
    runtime_version: str,
    arch: str,
    backbone: nn.Module,
    head: Reader,
    classes: tuple[str, ...],
    acceptance: Inputs,
    inference: Program,
    learning: Learning | None,
    precision: Precision = "fp32",
    *,
    hindrance: str | None = None,
    measure: str | None = None,
    preprocessing: Preprocessing | None = None,
    spare_classes: int = 0,
) -> None:
    """Write programs, tensors, acceptance outputs and manifest into `folder`.

    `precision` is the coarsest that the inference program computes in; it says how exactly the board must. What the
    board must give is, of fp32, what the modules compute, which also proves the export; of what is coarser, what this
    very program gives on this machine: the tolerance is of two machines that run one program.
    `hindrance` says why there is no learning, if something stood against it; `measure` what outputs are judged by;
    `preprocessing`, with its tokenizer, how inputs are made of files; `spare_classes` how many rows of the head, its
    last, are of no class yet.
    """
    programs = {"infer": inference, **dict(learning.programs() if learning else ())}
    for name, program in programs.items():
        (folder / f"{name}{runtime.suffix}").write_bytes(program.data)
    save_file(serving_tensors(backbone, head), folder / TENSORS)
    if inference.layout is not None:
        (folder / LAYOUT).write_bytes(inference.layout)
    if preprocessing and preprocessing.tokenizer:
        shutil.copyfile(preprocessing.tokenizer, folder / TOKENIZER)
    if learning and (guard := learning.guard):
        targets = {f"targets.{learning.target.name}": np.ascontiguousarray(guard.targets.numpy())}
        save_file({**guard.inputs.arrays("inputs"), **targets}, folder / GUARD)
    names = compact_layers(backbone)
    outputs = Inputs(dict(zip(OUTPUTS, Served(backbone, head).eval()(*acceptance), strict=False)))
    manifest: dict[str, Any] = {
        "manifest_version": VERSION,
        "arch": arch,
        "runtime": runtime.name,
        "runtime_version": runtime_version,
        "classes": list(classes),
        "spare_classes": spare_classes,
        "measure": measure,
        "preprocessing": preprocessing.told() if preprocessing else None,
        "inputs": [vars(port) for port in acceptance.ports],
        "outputs": [vars(port) for port in outputs.ports],
        "infer": {
            "program": f"infer{runtime.suffix}",
            "holes": list(inference.holes),
            "layout": None if inference.layout is None else LAYOUT,
            "quantised_holes": list(inference.quantised_holes),
            "left_in_fp32": [*inference.fp32_layers, *inference.fp32_operators],
            "nodes": vars(inference.nodes),
        },
        "learn": learning.described(runtime.suffix) if learning else None,
        "hindrance": learning.hindrance if learning else hindrance,
        "folds": [{"hole": f"backbone.{n}.down.weight", "core": f"backbone.{n}.core.weight"} for n in names],
        "acceptance": {"tolerance": TOLERANCES[precision]},
    }
    if precision != "fp32":
        outputs = _outputs_here(folder, manifest, runtime, acceptance)
    save_file({**acceptance.arrays("inputs"), **outputs.arrays("outputs")}, folder / "acceptance.safetensors")
    manifest["files"] = {
        file.name: {"sha256": sha256_of(file), "bytes": file.stat().st_size} for file in sorted(folder.iterdir())
    }
    (folder / NAME).write_text(json.dumps(manifest, indent=1, sort_keys=True), encoding="utf-8")


def _outputs_here(folder: Path, manifest: dict[str, Any], runtime: Runtime, accepted: Inputs) -> Inputs:
    """Logits and features of the examples from the inference program itself, one at a time as on the board."""
    program, holes = (folder / manifest["infer"]["program"]).read_bytes(), manifest["infer"]["holes"]
    run = runtime.load(runtime.fill(program, holes, fill_holes(manifest, load_tensors(str(folder), None)), {}))
    given = [run([tensor.numpy() for tensor in example]) for example in accepted.split(1)]
    outputs = (torch.from_numpy(np.concatenate(each)) for each in zip(*given, strict=True))
    return Inputs(dict(zip(OUTPUTS, outputs, strict=False)))


def read_bundle(folder: Path) -> Bundle:
    """A bundle that was written before."""
    text = (folder / NAME).read_bytes()
    manifest = json.loads(text)
    sizes = {name: entry["bytes"] for name, entry in manifest["files"].items()}
    return Bundle(
        folder,
        hashlib.sha256(text).hexdigest(),
        manifest,
        inference_bytes=sizes[manifest["infer"]["program"]] + sizes[TENSORS],
        total_bytes=sum(sizes.values()) + len(text),
        nodes=Nodes(**manifest["infer"]["nodes"]),
    )
