"""Whole compact models timed on the board: they teach what sums of layers miss, and show what latency buys."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import compress as compress_by

from toolkit import profiling
from toolkit.choice import DENSE, Choice, Selection, all_dense
from toolkit.compression import ALLOCATORS, CostTable, GainCurve, Limits, Spectra, compress
from toolkit.compression.knapsack import least
from toolkit.errors import BudgetError
from toolkit.profiling import Untimed, WholeModel
from toolkit.stages.load import Job
from toolkit.stages.probe import Known
from toolkit.stages.profile import Profiled
from toolkit.stages.quantise import only_timed, quantisation_of
from toolkit.stages.watch import Watch

# Of the way from the fastest allocation to the dense model: what an allocator would choose there.
_SHARES = (0.15, 0.4, 0.7)
# Allocations of no allocator's taste: they teach each kind of layer apart from the others.
_RANDOM = 2
_WHOLE = 0.5
# Of a large network no more correct the cost table.
_FEW = 3
FASTEST = "fastest"


@dataclass(frozen=True)
class Whole:
    """One whole model on the board."""

    label: str
    selection: Selection
    timed: WholeModel


def dense_forms(profile: Profiled) -> list[Whole]:
    """The dense model, and what a user has in ten lines: the same with all layers in another precision."""
    found = [Whole("dense", all_dense(profile.parts), profile.dense)]
    for precision in profile.precisions.arithmetics:
        if precision != "fp32" and profile.precisions.rival is not None:
            every = Choice(precision=precision)
            rounded = {name: every if every in part.pieces else DENSE for name, part in profile.parts.items()}
            found.append(Whole(f"dense {precision}", Selection(rounded), profile.precisions.rival))
    return found


def time_wholes(
    board: Known,
    job: Job,
    profile: Profiled,
    spectra: Spectra,
    choices: list[tuple[str, Selection]],
    watch: Watch,
) -> tuple[list[Whole], Profiled]:
    """Time those allocations, untrained: time does not depend on the weights. What was timed before is not again."""
    models = [compact_model(job, profile, spectra, selection) for _, selection in choices]
    if board.agent is None:  # those that were timed when it was at hand
        stored = [profiling.is_stored(model, profile.profile) for model in models]
        choices, models = list(compress_by(choices, stored)), list(compress_by(models, stored))
    timed, now = profiling.time_models(
        board.agent, job.runtime, models, profile.profile, profile.path, on_note=watch.progress.note
    )
    wholes = [Whole(label, selection, model) for (label, selection), model in zip(choices, timed, strict=True)]
    watch.was_cached = watch.was_cached and now is profile.profile
    return wholes, replace(profile, profile=now)


def compact_model(job: Job, profile: Profiled, spectra: Spectra, selection: Selection) -> Untimed:
    """What those choices make of the model, untrained."""
    quantisation = quantisation_of(job, selection, profile.precisions.arithmetics)
    return Untimed(
        compress(job.network.backbone, spectra, selection),
        job.dense_head,
        job.example,
        quantisation=quantisation and only_timed(quantisation),
    )


def fewer(candidates: Sequence[tuple[str, Selection]]) -> list[tuple[str, Selection]]:
    """What tells most where each whole model takes long: the fastest, and the first others."""
    fastest = [each for each in candidates if each[0] == FASTEST]
    others = [each for each in candidates if each[0] != FASTEST]
    return [*others[: _FEW - len(fastest)], *fastest]


def worth_timing(gains: dict[str, GainCurve], costs: CostTable, seed: int) -> Iterator[tuple[str, Selection]]:
    """Distinct compact models along the way from the fastest, itself among them, to dense, and random ones."""
    fastest, smallest = least("latency_ms", costs, Limits()), least("size_bytes", costs, Limits())
    assert fastest is not None
    assert smallest is not None
    everything_dense = all_dense(costs.parts)
    least_ms, most_ms = costs.latency_ms(fastest), costs.latency_ms(everything_dense)
    chance = random.Random(seed)
    seen = [everything_dense]

    def candidates() -> Iterator[tuple[str, Selection]]:
        for share in _SHARES:
            try:
                limits = Limits(latency_ms=least_ms + share * (most_ms - least_ms))
                yield f"exact at {share:.0%} of the way to dense", ALLOCATORS["exact"](gains, costs, limits).selection
            except BudgetError:
                continue
        yield FASTEST, fastest
        for index in range(_RANDOM):
            yield f"random {index + 1}", _at_random(costs, chance)
        yield "smallest", smallest

    for label, selection in candidates():
        if selection not in seen and (label != "smallest" or len(seen) == 1):
            seen.append(selection)
            yield label, selection


def _at_random(costs: CostTable, chance: random.Random) -> Selection:
    """Any choice of each part; of two that conflict one gives way, each as often as the other."""
    chosen = {name: chance.choice(list(row)) for name, row in costs.parts.items()}
    yields: dict[str, bool] = {}  # a part that yields to one of those that it conflicts with yields to all
    for pair in costs.conflicts:
        if pair.holds(chosen):
            first, second = pair.parts
            if first not in yields:
                yields[first] = chance.random() < _WHOLE
            part, refused = (first, pair.first) if yields[first] else (second, pair.second)
            chosen[part] = next(each for each in costs.parts[part] if each not in refused)
    return Selection(chosen)
