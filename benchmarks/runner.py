"""The native runner: is it light, small, exact, and do replaceable weights cost nothing?

    python benchmarks/runner.py            # about a minute, without the first build
    python benchmarks/runner.py --quick    # fewer calls, a compact model of one block (untrained) and batch 16 only

The model is the bundled digits transformer, dense and with every layer at rank 32 (a quarter of its parameters). Peak
memory is that of a process which classifies 100 images, beside the Python agent with ONNX Runtime doing the same. The
runner's overhead is what a call takes beyond the runtime's own execution. Replaceable weights (the folded core of a
512 x 512 layer at rank 128, given at load) are compared with the same weights built in, and with the dense layer.
"""

import argparse
import copy
import json
import platform
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from record import Figure, write
from safetensors.numpy import load_file, save_file
from torch import nn

from toolkit.choice import rank
from toolkit.compression import (
    CompactLinear,
    calibrate,
    compress,
    compressible_layers,
    fold_all,
    jactus_spectrum,
    matrix,
)
from toolkit.devices.native.build import build_runner, runner_command
from toolkit.examples import digits
from toolkit.inputs import inputs_of
from toolkit.models import split_head
from toolkit.runtimes import RUNTIMES, export_with_holes
from toolkit.runtimes.bundle import Served, export_inference, write_bundle

_RANK, _IMAGES = 32, 100
_PYTHON_AGENT = "import sys; sys.path.insert(0, sys.argv.pop(1)); from agent.main import main; main(sys.argv[1:])"
_DEVICES = Path(__file__).parents[1] / "toolkit" / "devices"


def main() -> None:
    """Measure, print the table, write results/runner.json (or runner-quick.json)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer calls, one compact block and batch 16 only")
    quick = parser.parse_args().quick
    started = time.monotonic()
    torch.manual_seed(0)
    folders = {machine: build_runner(machine) for machine in dict.fromkeys((platform.machine(), "aarch64"))}
    there = folders["aarch64"].rglob("*")
    size = sum(path.stat().st_size for path in there if path.is_file() and not path.is_symlink())
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        models = {form: model for form, model in _models(quick).items() if not quick or form == "compact"}
        memory = [row for form, model in models.items() for row in _memory(place, form, model)]
        times = _times(place, runs=300 if quick else 3000, batches=(16,) if quick else (1, 16, 128))
    peaks = {(row["model"], row["agent"]): row["peak_bytes"] for row in memory}
    ratio = min(peaks[form, "python"] / peaks[form, "native"] for form in models)
    difference = max(row["max_abs_difference"] for row in memory if "max_abs_difference" in row)
    median = {row["id"]: row["median_ms"] for row in times}
    overhead = next(row["overhead_us"] for row in times if row["id"] == "smallest")
    batches = [name.split()[1] for name in median if name.startswith("dense")]
    against_built_in = max(median[f"replaceable {batch}"] / median[f"built-in {batch}"] for batch in batches)
    against_dense = max(median[f"replaceable {batch}"] / median[f"dense {batch}"] for batch in batches)
    prefix = "quick_" if quick else ""
    how = f"batch {', '.join(batches)}, one thread, largest of the ratios of medians"
    figures = {
        f"{prefix}overhead_us": Figure(overhead, "< 20", overhead < 20, "median; a 4 x 4 layer, one thread"),
        f"{prefix}max_abs_difference": Figure(
            difference, "<= 1e-6", difference <= 1e-6, f"logits of {_IMAGES} images, beside ExecuTorch's Python runtime"
        ),
        f"{prefix}installed_bytes": Figure(size, "<= 16e6", size <= 16e6, "the aarch64 folder: runner and libraries"),
        f"{prefix}peak_memory_ratio": Figure(
            ratio, ">= 5", ratio >= 5, f"Python with ONNX Runtime over the runner; smallest of {', '.join(models)}"
        ),
        f"{prefix}replaceable_over_built_in": Figure(against_built_in, "<= 1.1", against_built_in <= 1.1, how),
        f"{prefix}replaceable_over_dense": Figure(against_dense, "<= 0.7", against_dense <= 0.7, how),
    }
    write("runner-quick" if quick else "runner", figures, [*memory, *times], seeds=[0], started=started)


def _models(quick: bool) -> dict[str, tuple[nn.Module, nn.Linear]]:
    """The digits transformer, dense and compact, with its head; of one block if it must be quick."""
    [x] = digits.task().support.x
    network = split_head(digits.DigitsViT(depth=1).eval() if quick else digits.model(), inputs_of(x[:1]))
    assert network.head is not None
    layers = compressible_layers(network.backbone, inputs_of(x[:1]))
    statistics = calibrate(network.backbone, layers, [(inputs_of(x), network.head)])
    spectra = {name: jactus_spectrum(matrix(layer), statistics[name], _RANK) for name, layer in layers.items()}
    chosen = {name: rank(min(_RANK, *matrix(layer).shape)) for name, layer in layers.items()}
    compact = compress(network.backbone, spectra, chosen)
    return {"dense": (network.backbone, network.head), "compact": (compact, network.head)}


def _memory(place: Path, form: str, model: tuple[nn.Module, nn.Linear]) -> list[dict[str, Any]]:
    """Peak memory of both agents, and how far the runner is from ExecuTorch's Python runtime."""
    images = digits.task().query.x.tensors["x"][:_IMAGES]
    save_file({"inputs.x": images.numpy()}, place / "images")
    rows: list[dict[str, Any]] = []
    for name, agent in (("executorch", "native"), ("onnxruntime", "python")):
        folder = place / f"{form}-{agent}"
        folder.mkdir()
        program = export_inference(RUNTIMES[name], *model, inputs_of(images[:1]))
        write_bundle(folder, RUNTIMES[name], "", "any", *model, ("a",) * 7, inputs_of(images[:1]), program, None)
        outputs = place / "logits"
        spec = {"release": str(folder), "inputs": str(place / "images"), "outputs": str(outputs), "threads": 1}
        said = run_agent(place, agent, "infer", spec)[-1]
        rows.append({"model": form, "agent": agent, "runtime": name, "peak_bytes": said["peak_bytes"]})
        if agent == "native":
            # The same weights: the runner folds cores in double precision and rounds once.
            folded = fold_all(copy.deepcopy(model[0]).double()).float()
            apart = load_file(outputs)["outputs.logits"] - _python_runtime(Served(folded, model[1]).eval(), images)
            rows[-1]["max_abs_difference"] = float(abs(apart).max())
    return rows


def _python_runtime(whole: nn.Module, images: torch.Tensor) -> Any:
    from executorch.runtime import Runtime

    loaded = Runtime.get().load_program(
        RUNTIMES["executorch"].export(export_with_holes(whole, inputs_of(images[:1]), ()), ()).data
    )
    method = loaded.load_method("forward")
    return torch.cat([method.execute([image[None]])[0].clone() for image in images]).numpy()


def _times(place: Path, *, runs: int, batches: tuple[int, ...]) -> list[dict[str, Any]]:
    dense, compact = nn.Linear(512, 512), CompactLinear(512, 512, 128).fold()
    forms: dict[str, tuple[nn.Module, torch.Tensor, tuple[str, ...]]] = {
        "smallest": (nn.Linear(4, 4), torch.ones(1, 4), ())
    }
    for batch in batches:
        x = torch.randn(batch, 512)
        forms[f"dense {batch}"] = (dense, x, ())
        forms[f"built-in {batch}"] = (compact, x, ())
        forms[f"replaceable {batch}"] = (compact, x, ("down.weight",))
    programs = []
    for name, (layer, x, holes) in forms.items():
        path = place / f"{name}.pte"
        path.write_bytes(RUNTIMES["executorch"].export(export_with_holes(layer, inputs_of(x), holes), holes).data)
        shapes = {hole: list(layer.get_parameter(hole).shape) for hole in holes}
        programs.append({"id": name, "path": str(path), "inputs": [list(x.shape)], "holes": shapes})
    limits = {"threads": 1, "warmups": 5, "runs": runs, "budget_ms": 2000.0}
    events = run_agent(place, "native", "bench", {"runtime": "executorch", **limits, "programs": programs})
    return [event for event in events if event.pop("event") == "measured"]


def run_agent(place: Path, agent: str, verb: str, spec: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of one verb of one agent, in a process of its own on this machine."""
    (place / "spec.json").write_text(json.dumps(spec))
    machine = platform.machine()
    if agent == "native":
        command = runner_command(str(build_runner(machine)), machine)
    else:
        command = shlex.join([sys.executable, "-c", _PYTHON_AGENT, str(_DEVICES)])
    command += f" {verb} {shlex.quote(str(place / 'spec.json'))}"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


if __name__ == "__main__":
    main()
