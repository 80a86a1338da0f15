"""Rows of `precision.py`: each one program, what it takes on a board and how well it classifies."""

import copy
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import channels, mixed_models, narrowed, plain_int8
from benchmarks.models import resnet
from edge_runtime.release import load_inference, load_tensors
from toolkit import pipeline
from toolkit.cache import cache_folder, cached, digest
from toolkit.devices import hold
from toolkit.distillation import Checkpoint
from toolkit.errors import DeployError
from toolkit.profiling.measurement import Measurement
from toolkit.profiling.steady import time_steadily
from toolkit.profiling.time_programs import Timeable, model_timing
from toolkit.progress import Silent
from toolkit.request import Overrides, Request
from toolkit.runtimes import Program
from toolkit.runtimes.program import Nodes
from toolkit.sources import code_digest
from toolkit.stages import Watch, probe
from toolkit.stages.load import Job
from toolkit.targets import Target
from toolkit.tasks import Examples

import torch  # isort: skip  # toolkit is imported before torch: it sets how OpenMP waits
from torch import nn  # isort: skip

Row = dict[str, Any]
# Of the images that ranges are read from, those that a program is made with which is only timed.
_TIMED_WITH = 8
# Of a budget: two measurements of one program differ by less.
_SAME = 1.005


@dataclass(frozen=True)
class Bench:
    """What every row of one network on one board is made from. Ranges are read from `calibration` (N, C, H, W)."""

    target: Target
    request: Request
    dense: resnet.ResNet
    job: Job
    calibration: torch.Tensor
    test: Examples


def dense_row(bench: Bench) -> Row:
    """The network as it was trained."""
    return _program_row(bench, "dense", partial(plain_int8.to_onnx, bench.dense, *bench.job.example))


def plain_row(bench: Bench) -> Row:
    """In the faster of both forms; what the other one takes and keeps is told."""
    dense = plain_int8.to_onnx(bench.dense, *bench.job.example)
    rows = [
        {**_program_row(bench, "plain int8", partial(plain_int8.to_int8, dense, bench.calibration, form)), "form": form}
        for form in plain_int8.FORMS
    ]
    best, other = sorted(rows, key=lambda row: row["median_ms"])
    return {**best, "other_form": {key: other[key] for key in ("form", "median_ms", "accuracy")}}


def our_row(bench: Bench, times_less: float, plain: Row) -> Row:
    """As `deploy --latency` does it, all but learning on the board; that budget is for a p95, hence plain int8's."""
    watch = Watch(Silent())
    budget_ms, p95_ms = plain["median_ms"] / times_less, plain["p95_ms"] / times_less
    asked = {"method": "ours", "times_less": times_less, "budget_ms": budget_ms, "steps": bench.request.recovery_steps}
    try:
        with _worked() as took, hold(bench.target) as home:
            done = pipeline.release(home, bench.request, bench.target, Overrides(latency_ms=p95_ms), watch)
    except DeployError as error:
        return {**asked, "error": str(error), "notes": watch.notes, **took}
    folder, manifest = str(done.bundle.folder), done.bundle.manifest
    infer = load_inference(folder, manifest, load_tensors(folder, None), 1)
    chosen, median_ms = done.planned.allocation.selection, done.verified.measurement.median_ms
    recovery = done.compact.recovery
    outputs = zip(*(infer([x.numpy()]) for x in bench.test.x.tensors["x"].split(1)), strict=True)
    logits, features = (torch.from_numpy(np.concatenate(each)) for each in outputs)
    return {
        **asked,
        "median_ms": median_ms,
        "p95_ms": done.verified.measurement.p95_ms,
        "within": median_ms <= _SAME * budget_ms,
        "accuracy": _share_right(logits, bench.test),
        "accuracy_by_own_head": _share_right(bench.job.general_logits(features), bench.test),
        "head": done.job.start,
        "bytes": done.bundle.inference_bytes,
        **took,
        "stages_s": {f"{each.name}{' (cached)' if each.cached else ''}": each.seconds for each in watch.stages},
        "predicted_ms": done.planned.predicted.ms,
        "choices": mixed_models.counted(chosen),
        "selection": chosen.changed.key,
        "recovery": recovery.model_dump(mode="json") if recovery else None,
        "notes": watch.notes,
    }


def _share_right(logits: torch.Tensor, examples: Examples) -> float:
    return float((logits.argmax(1) == examples.y).float().mean())


def rival_rows(bench: Bench, method: str, budgets: dict[float, float], form: str) -> Iterator[Row]:
    """DepGraph's widths, or all groups alike, at those latencies by times less; then int8 in that form."""
    if not budgets:
        return
    with _worked() as search:
        network = resnet.with_convolved_shortcuts(bench.dense)
        ranked = method == "DepGraph"
        sizes = channels.depgraph_steps(network, network.linear, *bench.job.example, ranked_together=ranked)
        found = narrowed.largest_within(sizes, list(budgets.values()), partial(_time_int8, bench, form))
    for (times_less, budget_ms), (size, _) in zip(budgets.items(), found, strict=True):
        row = _program_row(bench, method, partial(_recovered, bench, size, form))
        yield {
            "times_less": times_less,
            "budget_ms": budget_ms,
            "steps": bench.request.recovery_steps,
            "within": row["median_ms"] <= _SAME * budget_ms,
            **row,
            "search_minutes": search["minutes"],
            "untrained": _untrained(bench, size),
            "parameters": sum(value.numel() for value in size.parameters()),
        }


def other_tool_row(bench: Bench, tool: str, form: str, python: str) -> Row:
    """By a tool in an environment of its own; what it says where it does not work."""
    with tempfile.TemporaryDirectory() as place:
        model, images, made = (Path(place, name) for name in ("model.onnx", "images.npy", "int8.onnx"))
        model.write_bytes(plain_int8.to_onnx(bench.dense, *bench.job.example))
        np.save(images, bench.calibration.numpy())
        command = [
            python,
            str(Path(__file__).with_name("other_tools.py")),
            tool,
            form,
            *map(str, (model, images, made)),
        ]
        started = time.monotonic()
        done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
        minutes = round((time.monotonic() - started) / 60, 2)
        if not made.exists():
            said = done.stderr.strip().splitlines() or ["it wrote nothing"]
            return {"method": tool, "error": said[-1]}
        return {**_program_row(bench, tool, made.read_bytes), "minutes": minutes}


def _program_row(bench: Bench, method: str, make: Callable[[], bytes]) -> Row:
    with _worked() as took:
        program = make()
    [row] = time_whole(bench.target, bench.job, [program])
    timed = {"median_ms": row.median_ms, "p95_ms": row.p95_ms}
    accuracy = plain_int8.accuracy(plain_int8.runner(program), bench.test)
    return {"method": method, **timed, "accuracy": accuracy, "bytes": len(program), **took}


def _recovered(bench: Bench, size: nn.Module, form: str) -> bytes:
    """The int8 program of the trained network; kept, as it takes minutes."""
    state = [value.contiguous().numpy().tobytes() for value in size.state_dict().values()]
    how = [form, bench.job.key, bench.request.recovery_steps, str(bench.request.distill), bench.request.recovery_rate]
    ours = "toolkit.compression", "toolkit.distillation", "toolkit.stages.statistics", "toolkit.stages.variations"
    code = code_digest(*ours, "benchmarks.narrowed", "benchmarks.plain_int8")
    key = digest(*state, *how, bench.request.seed, code)

    def train(folder: Path) -> None:
        checkpoint = Checkpoint(cache_folder() / "checkpoints" / f"{key}.pt")
        trained = narrowed.recover_as_deployed(size, bench.job, bench.request, checkpoint)
        program = plain_int8.to_int8(plain_int8.to_onnx(trained, *bench.job.example), bench.calibration, form)
        (folder / "int8.onnx").write_bytes(program)
        checkpoint.file.unlink(missing_ok=True)

    folder, _ = cached("benchmarks/precision", key, train)
    return (folder / "int8.onnx").read_bytes()


def _untrained(bench: Bench, size: nn.Module) -> float:
    """Accuracy in fp32, as the pruner leaves it."""
    program = plain_int8.to_onnx(copy.deepcopy(size), *bench.job.example)
    return plain_int8.accuracy(plain_int8.runner(program), bench.test)


def time_whole(target: Target, job: Job, programs: list[bytes]) -> list[Measurement]:
    """Each whole program on the board."""
    clock = target.family.clock
    timeables = {
        str(index): Timeable(Program(program, Nodes(0, 0, 0)), job.example, {})
        for index, program in enumerate(programs)
    }
    with hold(target) as home:
        agent = probe(home, target, job, Watch(Silent())).agent
        calls, threads = model_timing(clock), target.threads
        found = time_steadily(agent, job.runtime, threads, clock, timeables, calls, on_note=print)
    return [found.rows[name] for name in timeables]


def _time_int8(bench: Bench, form: str, networks: list[nn.Module]) -> list[float]:
    """Median of fp32 networks as int8 programs, ms; those of the same widths are timed once."""
    kept = cache_folder() / "benchmarks" / f"precision-times-{bench.target.name}.json"
    kept.parent.mkdir(exist_ok=True)
    times: dict[str, float] = json.loads(kept.read_text()) if kept.exists() else {}
    keys = [digest(form, str(network)) for network in networks]
    programs = {
        key: plain_int8.to_int8(
            plain_int8.to_onnx(copy.deepcopy(network), *bench.job.example), bench.calibration[:_TIMED_WITH], form
        )
        for key, network in zip(keys, networks, strict=True)
        if key not in times
    }
    if programs:
        timed = time_whole(bench.target, bench.job, list(programs.values()))
        times |= {key: row.median_ms for key, row in zip(programs, timed, strict=True)}
        kept.write_text(json.dumps(times))
    return [times[key] for key in keys]


@contextmanager
def _worked() -> Iterator[dict[str, float]]:
    """Minutes on the wall and of this process's processor, and how busy the machine was at the end."""
    wall, own = time.monotonic(), time.process_time()
    took: dict[str, float] = {}
    try:
        yield took
    finally:
        took["minutes"] = round((time.monotonic() - wall) / 60, 2)
        took["processor_minutes"] = round((time.process_time() - own) / 60, 2)
        took["load"] = round(os.getloadavg()[0], 1)
