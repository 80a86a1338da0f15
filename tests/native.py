"""Releases for the native runner, and the runner itself on this machine."""

import json
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from learning import learning_of
from networks import build, compacted
from safetensors.numpy import load_file, save_file
from torch import nn

from toolkit.adaptation.heads import HeadStart
from toolkit.devices.agent_client import parse_event
from toolkit.devices.native.build import build_runner, runner_command
from toolkit.inputs import inputs_of
from toolkit.models import split_head
from toolkit.objectives import CLASSIFICATION, Objective
from toolkit.runtimes import Program, Runtime
from toolkit.runtimes.arithmetic import Arithmetic, Quantisation
from toolkit.runtimes.bundle import Bundle, export_inference, read_bundle, write_bundle

CLASSES = ("a", "b", "c")


@dataclass(frozen=True)
class Said:
    """The exit status and the events of one verb."""

    status: int
    events: list[dict[str, Any]]
    stderr: str

    @property
    def last(self) -> dict[str, Any]:
        return self.events[-1]

    def of(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == name]


@dataclass(frozen=True)
class Made:
    """A release on disk and the modules that it was made from."""

    bundle: Bundle
    backbone: nn.Module
    head: nn.Linear
    x: torch.Tensor

    @torch.no_grad()
    def expected(self) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.backbone(self.x))
        return logits


def run_verb(folder: Path, verb: str, spec: dict[str, Any] | None) -> Said:
    """Run the runner on this machine; its specification is written into `folder`."""
    machine = platform.machine()
    command = f"{runner_command(str(build_runner(machine)), machine)} {verb}"
    if spec is not None:
        (folder / "spec.json").write_text(json.dumps(spec))
        command += f" '{folder / 'spec.json'}'"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, timeout=300)
    lines = [parse_event(line) for line in done.stdout.splitlines()]
    return Said(done.returncode, [line for line in lines if line is not None], done.stderr.decode(errors="replace"))


def make_release(
    folder: Path,
    network: str,
    runtime: Runtime,
    head_start: HeadStart = "pretrained",
    objective: Objective = CLASSIFICATION,
    precision: Literal["fp32", "int8"] = "fp32",
    *,
    learns: bool = True,
) -> Made:
    """A compact network of `networks.NETWORKS`, its train step, if it `learns`, and its acceptance outputs."""
    model, x = build(network)
    split = split_head(model, inputs_of(x[:1]))
    assert split.head is not None
    backbone = compacted(split.backbone, split.head, x)
    learning = learning_of(runtime, backbone, split.head, x, head_start, objective) if learns else None
    quantisation = None if precision == "fp32" else Quantisation(Arithmetic("int8", "signed"), inputs_of(x))
    inference = export_inference(runtime, backbone, split.head, inputs_of(x[:1]), quantisation)
    folder.mkdir()
    made = backbone, split.head, CLASSES, inputs_of(x[:2]), inference, learning, precision
    write_bundle(folder, runtime, "1", "any", *made)
    return Made(read_bundle(folder), backbone, split.head, x)


def by_stock_executorch(folder: Path, x: np.ndarray) -> np.ndarray:
    """The first output for each example of what lies in a folder, by ExecuTorch's own Python runtime."""
    from executorch.runtime import Runtime

    holes = folder / "holes.ptd"
    program = Runtime.get().load_program(folder / "infer.pte", data_path=holes if holes.exists() else None)
    method = program.load_method("forward")
    given = [torch.from_numpy(each[None].copy()) for each in x]
    return np.concatenate([method.execute([each])[0].numpy().copy() for each in given])


def served(folder: Path, program: Program, holes: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """The first output for each example of `x`, from the runner, with those holes."""
    (folder / "infer.pte").write_bytes(program.data)
    infer = {"program": "infer.pte", "holes": list(program.holes)}
    ports = {"inputs": [{"name": "x"}], "outputs": [{"name": "logits"}]}
    manifest = {"runtime": "executorch", "files": {}, "folds": [], "infer": infer, **ports}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    save_file({name: np.ascontiguousarray(value) for name, value in holes.items()}, folder / "tensors.safetensors")
    save_file({"inputs.x": x}, folder / "in")
    spec = {"release": str(folder), "inputs": str(folder / "in"), "outputs": str(folder / "out"), "threads": 1}
    said = run_verb(folder, "infer", spec)
    assert said.status == 0, said
    outputs: np.ndarray = load_file(folder / "out")["outputs.logits"]
    return outputs


def timing() -> dict[str, float]:
    """Few calls: what is tested is not how fast it is."""
    return {"warmups": 1, "runs": 12, "budget_ms": 50.0}
