"""Models with random choices a layer, exported once and timed on a board; what was done before is not done again."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.cache import cache_folder, digest
from toolkit.choice import DENSE, Choice, Selection
from toolkit.compression import CostTable, Spectrum, best_approximations, components_of, compress, matrix
from toolkit.devices import hold
from toolkit.profiling import Measurement, cost_table
from toolkit.profiling.signature import signature_of
from toolkit.profiling.steady import time_steadily
from toolkit.profiling.time_programs import Timeable, model_timing
from toolkit.progress import Silent
from toolkit.request import Request
from toolkit.runtimes import Program
from toolkit.runtimes.bundle import export_inference, serving_tensors
from toolkit.runtimes.program import Nodes
from toolkit.stages import Watch, load, probe, profile
from toolkit.stages.load import Job
from toolkit.targets import Target

MODELS = {
    "digits ViT": ("toolkit.examples.digits:model", "toolkit.examples.digits:task"),
    "ResNet-20": ("benchmarks.models.resnet:resnet20", "benchmarks.models.resnet:task"),
    "speech DS-CNN": ("benchmarks.models.speech:model", "benchmarks.models.speech:task"),
}
_TOGETHER = 8  # programs timed by one process


@dataclass(frozen=True)
class Measured:
    """One model in one runtime on one board: what the toolkit makes of its profile, and whole models it never saw.

    `kinds` are those of the layers; `wholes` random allocations with their measurements.
    """

    costs: CostTable
    kinds: dict[str, str]
    wholes: list[tuple[Selection, Measurement]]


def measure(
    model: str, runtime: str, target: Target, count: int, seed: int, tell: Callable[[str], None] = print
) -> Measured:
    """Every layer under every choice, the dense model, and `count` random allocations. Resumes where it stopped."""
    watch = Watch(Silent())
    request = Request(*MODELS[model], runtime, channels=False, depth=False, precision="fp32")
    kept = _kept("times", model, runtime, target.name, seed)
    times: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
    job = load(request, target, watch)
    with hold(target) as home:
        board = probe(home, target, job, watch)
        profiled = profile(board, job, watch)
        tell(f"{model}, {runtime}, {target.name}: {len(profiled.profile.rows)} rows")
        drawn = _draw({name: tuple(part.pieces) for name, part in profiled.parts.items()}, count, seed)
        todo = [index for index in range(count) if str(index) not in times]
        for start in range(0, len(todo), _TOGETHER):
            batch = todo[start : start + _TOGETHER]
            programs = {str(index): _program(model, job, drawn[index]) for index in batch}
            calls = model_timing(target.family.clock)
            timed = time_steadily(board.agent, job.runtime, target.threads, target.family.clock, programs, calls)
            times |= {key: row.model_dump() for key, row in timed.rows.items()}
            kept.write_text(json.dumps(times))
            tell(f"{model}, {runtime}, {target.name}: {len(times)} of {count} whole models")
    costs = cost_table(profiled.parts, profiled.profile, profiled.dense, profiled.memory)
    kinds = {name: signature_of(layer, profiled.input_shapes[name], DENSE).kind for name, layer in job.layers.items()}
    wholes = [(drawn[index], Measurement.model_validate(times[str(index)])) for index in range(count)]
    return Measured(costs, kinds, wholes)


def _draw(offered: dict[str, tuple[Choice, ...]], count: int, seed: int) -> list[Selection]:
    """Each allocation leans towards small or large choices by a lean of its own, so that all speeds occur."""
    chance = random.Random(seed)
    drawn = []
    for _ in range(count):
        lean = chance.uniform(-2, 2)
        chosen: dict[str, Choice] = {}
        for name, choices in offered.items():
            ordered = [*choices[1:], DENSE]
            weights = [2.0 ** (lean * index / max(1, len(ordered) - 1)) for index in range(len(ordered))]
            chosen[name] = chance.choices(ordered, weights)[0]
        drawn.append(Selection(chosen))
    return drawn


def _program(model: str, job: Job, selection: Selection) -> Timeable:
    """The whole model under those choices: its own weights, truncated; time does not depend on them."""
    backbone = compress(job.network.backbone, {name: _truncated(job, name) for name in selection.changed}, selection)
    shapes = {name: tuple(value.shape) for name, value in serving_tensors(backbone, job.dense_head).items()}
    kept = _kept("programs", model, job.runtime.name, job.key, selection.key).with_suffix(job.runtime.suffix)
    if not kept.exists():
        program = export_inference(job.runtime, backbone, job.dense_head, job.example)
        kept.with_suffix(".holes").write_text(json.dumps(program.holes))
        kept.write_bytes(program.data)
    holes = tuple(json.loads(kept.with_suffix(".holes").read_text()))
    return Timeable(Program(kept.read_bytes(), Nodes(0, 0, 0), holes), job.example, shapes)


def _truncated(job: Job, name: str) -> Spectrum:
    layer = job.layers[name]
    return best_approximations(matrix(layer), None, None, components_of(layer))


def _kept(what: str, *parts: object) -> Path:
    folder = cache_folder() / "benchmarks" / "random_models"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{what}-{digest(*parts)[:16]}.json"
