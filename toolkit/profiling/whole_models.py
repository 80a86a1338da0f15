"""Time whole models on the board: what sums of layers miss, and what a process of this size needs in memory."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np
from safetensors.numpy import save
from torch import nn
from torch.export import ExportedProgram

from toolkit.cache import cached, digest
from toolkit.devices import Agent
from toolkit.errors import BadInput
from toolkit.inputs import Inputs
from toolkit.models import Reader
from toolkit.profiling.anatomy import anatomy
from toolkit.profiling.measurement import Measurement
from toolkit.profiling.profile import Profile
from toolkit.profiling.profile_file import save_profile
from toolkit.profiling.program_key import program_key, quantised_key
from toolkit.profiling.steady import Patience, has_long_tail, time_steadily
from toolkit.profiling.time_programs import Timeable, model_timing
from toolkit.runtimes import Program, Runtime
from toolkit.runtimes.arithmetic import Quantisation
from toolkit.runtimes.bundle import inference_graph, of_served, serving_tensors
from toolkit.side_by_side import side_by_side
from toolkit.sources import code_digest

_BATCH = 8

# A graph with holes, and their names.
Graph = tuple[ExportedProgram, tuple[str, ...]]

# By backbone: the head and example that its graph was drawn with, and the graph.
_DRAWN: WeakKeyDictionary[nn.Module, tuple[tuple[nn.Module, Inputs], Graph]] = WeakKeyDictionary()


class NotStored(BadInput):
    """A whole model is not in the profile, and no board is at hand to time it on."""


@dataclass(frozen=True)
class WholeModel:
    """One model on the board: its times, peak memory of a process that serves it, and the bytes it loads.

    `left_in_fp32` are layers and kinds of operators that its runtime has no int8 for, though it was asked for.
    """

    measurement: Measurement
    peak_bytes: int
    size_bytes: int
    left_in_fp32: tuple[str, ...] = ()


@dataclass(frozen=True)
class Untimed:
    """A (compact) backbone with a head, the inputs of one example, and how the backbone leaves fp32.

    `judged_by_p95`: a p95 far above its median is timed again, and flagged if it stays so.
    """

    backbone: nn.Module
    head: Reader
    x: Inputs
    judged_by_p95: bool = False
    quantisation: Quantisation | None = None


def time_models(
    agent: Agent | None,
    runtime: Runtime,
    models: list[Untimed],
    profile: Profile,
    path: Path,
    *,
    on_note: Callable[[str], None] = lambda text: None,
    patience: Patience = Patience(),
) -> tuple[list[WholeModel], Profile]:
    """Export and time models, unless ones of the same operations were timed before; saved after each batch.

    Peak memory is that of a process that runs nothing else. Raises NotStored if something was not measured before and
    there is no agent.
    """
    named = [_name(each) for each in models]
    missing = {each.key: each for each in named if not _is_timed(each, profile, agent)}
    if missing:
        if agent is None:
            raise NotStored(
                "a whole model is not in its stored profile",
                where=f"family {profile.family}",
                next="Measure it once: `deploy profile` with this --target, --model and --task.",
            )
        calls = model_timing(profile.clock) | ({"rate_hz": profile.rate_hz} if profile.rate_hz else {})
        for start in range(0, len(missing), _BATCH):
            keys = list(missing)[start : start + _BATCH]
            batch = _timeables(runtime, {key: missing[key] for key in keys})
            tails = [key for key in batch if missing[key].model.judged_by_p95]
            found = time_steadily(
                agent,
                runtime,
                profile.threads,
                profile.clock,
                batch,
                calls,
                on_note=on_note,
                patience=patience,
                judged_by_p95=tails,
            )
            sizes = {key: len(timeable.program.data) for key, timeable in batch.items()}
            left = {key: names for key, each in batch.items() if (names := _left_in_fp32(each.program))}
            profile = profile.with_rows(found.rows, found.peak_bytes, found.batch, sizes, left)
            save_profile(profile, path)
    return [
        WholeModel(
            profile.rows[each.key],
            profile.process_bytes[each.key],
            profile.program_bytes[each.key] + _tensors_bytes(each.shapes),
            profile.left_in_fp32.get(each.key, ()),
        )
        for each in named
    ], profile


def is_stored(model: Untimed, profile: Profile) -> bool:
    """Whether `time_models` needs no board for it."""
    return _is_timed(_name(model), profile, None)


def row_of(model: Untimed) -> str:
    """What names its row in a profile."""
    return _name(model).key


@dataclass(frozen=True)
class _Named:
    """A model, what names it in a profile, the shapes of what it loads, and its graph with holes if it was drawn."""

    key: str
    model: Untimed
    shapes: dict[str, tuple[int, ...]]
    graph: Graph | None


def _name(model: Untimed) -> _Named:
    """Its graph is drawn if no model of this anatomy was named before."""
    shapes = {name: value.shape for name, value in serving_tensors(model.backbone, model.head).items()}
    known = anatomy(nn.ModuleList([model.backbone, model.head]))
    if known is None:
        graph = _graph(model)
        return _Named(quantised_key(program_key(graph[0]), model.quantisation), model, shapes, graph)
    drawn = []

    def draw(folder: Path) -> None:
        drawn.append(_graph(model))
        (folder / "key").write_text(program_key(drawn[0][0]), encoding="utf-8")

    code = code_digest("toolkit.runtimes.bundle", "toolkit.profiling.program_key")
    folder, _ = cached("program-keys", digest(known, [str(each) for each in model.x.ports], code), draw)
    key = quantised_key((folder / "key").read_text(encoding="utf-8"), model.quantisation)
    return _Named(key, model, shapes, next(iter(drawn), None))


def _graph(model: Untimed) -> Graph:
    """The same object for the dense network in every arithmetic: a runtime then converts it once."""
    ends = model.head, model.x
    drawn = _DRAWN.get(model.backbone)
    if drawn is None or any(each is not end for each, end in zip(drawn[0], ends, strict=True)):
        drawn = _DRAWN[model.backbone] = (ends, inference_graph(model.backbone, model.head, model.x))
    return drawn[1]


def _timeables(runtime: Runtime, named: dict[str, _Named]) -> dict[str, Timeable]:
    all_of = list(named.values())
    programs = side_by_side(lambda index: _program(runtime, all_of[index]), len(all_of), few=2)
    return {
        key: Timeable(program, each.model.x, each.shapes)
        for (key, each), program in zip(named.items(), programs, strict=True)
    }


def _program(runtime: Runtime, named: _Named) -> Program:
    graph, holes = named.graph or _graph(named.model)
    return runtime.export(graph, holes, named.model.quantisation and of_served(named.model.quantisation))


def _left_in_fp32(program: Program) -> tuple[str, ...]:
    return (*(name.removeprefix("backbone.") for name in program.fp32_layers), *program.fp32_operators)


def _is_timed(named: _Named, profile: Profile, agent: Agent | None) -> bool:
    """In full; if a board is at hand, also at the pace that is asked for now, and with no long tail unexplained."""
    row = profile.rows.get(named.key)
    if row is None or named.key not in profile.program_bytes or named.key not in profile.process_bytes:
        return False
    if agent is None:
        return True
    unexplained = named.model.judged_by_p95 and profile.clock == "wall" and has_long_tail(row) and not row.flags
    return row.paced_rate_hz == profile.rate_hz and not unexplained


def _tensors_bytes(shapes: dict[str, tuple[int, ...]]) -> int:
    """Size of the file in which a bundle keeps arrays of those shapes."""
    return len(save({name: np.zeros(shape, np.float32) for name, shape in shapes.items()}))
