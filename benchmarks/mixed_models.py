"""Allocations with form and precision at random, and how well their latency was predicted."""

import random
from collections import Counter
from collections.abc import Mapping
from typing import Any

from toolkit.choice import Choice, Selection
from toolkit.compression import CostTable
from toolkit.devices import hold
from toolkit.progress import Silent
from toolkit.request import Request
from toolkit.stages import Watch, load, probe, profile
from toolkit.stages.learn import learn
from toolkit.stages.whole_models import time_wholes
from toolkit.targets import Target

_TOGETHER = 5  # timed by one process


def predict_and_time(request: Request, target: Target, count: int, seed: int) -> list[dict[str, Any]]:
    """`count` random allocations that the latency model was not fitted on, timed whole on the board."""
    watch = Watch(Silent())
    job = load(request, target, watch)
    with hold(target) as home:
        board = probe(home, target, job, watch)
        learned = learn(board, job, profile(board, job, watch), request.curve, request.seed, watch)
        costs, profiled = learned.model.costs, learned.profile
        fitted = [whole.selection for whole in learned.wholes]
        later = frozenset({*job.layers, *job.fixed})
        drawn = [each for each in draw(costs, later, count, seed) if each not in fitted]
        rows = []
        for start in range(0, len(drawn), _TOGETHER):
            some = [("random", each) for each in drawn[start : start + _TOGETHER]]
            wholes, profiled = time_wholes(board, job, profiled, learned.worth.parts, some, watch)
            for whole in wholes:
                interval, took = learned.model.predict(whole.selection), whole.timed.measurement
                rows.append(
                    {
                        "predicted_ms": interval.ms,
                        "low_ms": interval.low_ms,
                        "high_ms": interval.high_ms,
                        "measured_ms": took.median_ms,
                        "error": interval.ms / took.median_ms - 1,
                        "held": interval.low_ms <= took.median_ms <= interval.high_ms,
                        "flags": list(took.flags),
                        "choices": counted(whole.selection),
                        "selection": whole.selection.changed.key,
                    }
                )
    return rows


def draw(costs: CostTable, later: frozenset[str], count: int, seed: int) -> list[Selection]:
    """Each leans towards dense or changed forms, and towards a precision, by a lean of its own.

    Parts that are `later` are drawn last: groups and blocks leave layers few choices, and would seldom come after them.
    """
    chance = random.Random(seed)
    return [_one(costs, later, chance) for _ in range(count)]


def counted(selection: Mapping[str, Choice]) -> dict[str, int]:
    """How many parts are of each form and precision: `rank int8`, `dense fp32`."""
    return dict(sorted(Counter(f"{each.form} {each.precision}" for each in selection.values()).items()))


def _one(costs: CostTable, later: frozenset[str], chance: random.Random) -> Selection:
    changed, coarse = chance.random(), chance.random()
    chosen: dict[str, Choice] = {}
    for name in sorted(costs.parts, key=lambda each: (each in later, chance.random())):
        able = [each for each in costs.parts[name] if _fits(costs, chosen, name, each)]
        able = _leaning(able, [each for each in able if each.form != "dense"], chance.random() < changed)
        able = _leaning(able, [each for each in able if each.precision != "fp32"], chance.random() < coarse)
        chosen[name] = chance.choice(able)
    selection = Selection({name: chosen[name] for name in costs.parts})
    assert costs.allows(selection)
    return selection


def _leaning(able: list[Choice], these: list[Choice], wanted: bool) -> list[Choice]:
    """Those, or all others; where there is none of them, any."""
    return (these if wanted else [each for each in able if each not in these]) or able


def _fits(costs: CostTable, chosen: Mapping[str, Choice], name: str, choice: Choice) -> bool:
    """Whether it conflicts with nothing that was chosen before."""
    now = {**chosen, name: choice}
    return not any(
        pair.holds(now) for pair in costs.conflicts if name in pair.parts and all(part in now for part in pair.parts)
    )
