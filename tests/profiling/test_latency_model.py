"""Sums of layers become whole models: what they miss is learned from a few, and the interval says what is left."""

import random
from dataclasses import replace

import pytest

from tests.choices import by_size, ranks
from toolkit.choice import DENSE, Selection, all_dense
from toolkit.compression import Cost, CostTable
from toolkit.profiling.latency_model import fit_latency_model

RANKS = (8, 16, 24, 32)
LAYERS = [f"layer{index}" for index in range(12)]
KINDS = {name: "linear" if index % 2 else "conv kxk" for index, name in enumerate(LAYERS)}
COSTS = CostTable(
    {
        name: by_size(
            {None: Cost(1.0 + index / 10, 1000), **{size: Cost(0.2 + size / 50 + index / 50, 10) for size in RANKS}}
        )
        for index, name in enumerate(LAYERS)
    },
    rest_latency_ms=2.0,
    rest_bytes=0,
)


def draw(chance: random.Random) -> Selection:
    return ranks({name: chance.choice([None, *RANKS]) for name in LAYERS})


def truth(chosen: Selection, noise: float = 0.0) -> float:
    """A board on which every compact convolution costs 0.05 ms more inside a model than alone, and is 10 % slower."""
    extra = sum(
        0.05 + 0.1 * (COSTS.parts[name][choice].latency_ms - COSTS.parts[name][DENSE].latency_ms)
        for name, choice in chosen.items()
        if choice != DENSE and KINDS[name] == "conv kxk"
    )
    return (COSTS.latency_ms(chosen) + extra) * (1 + noise)


def test_with_nothing_measured_the_sum_is_believed() -> None:
    model = fit_latency_model(COSTS, KINDS, "instructions", [])
    chosen = draw(random.Random(0))
    assert model.predict(chosen).ms == pytest.approx(COSTS.latency_ms(chosen))
    assert model.predict(chosen).low_ms < truth(chosen) < model.predict(chosen).high_ms


def test_a_few_whole_models_teach_what_sums_miss() -> None:
    chance = random.Random(1)
    taught = [(each, truth(each, chance.gauss(0, 0.002))) for each in (draw(chance) for _ in range(8))]
    model = fit_latency_model(COSTS, KINDS, "instructions", taught)
    unseen = [draw(chance) for _ in range(50)]
    errors = [abs(model.predict(each).ms / truth(each) - 1) for each in unseen]
    plain = [abs(COSTS.latency_ms(each) / truth(each) - 1) for each in unseen]
    assert max(errors) < 0.006 < 0.02 < max(plain)


def test_layers_that_take_longer_inside_a_model_take_longer_dense_too() -> None:
    dense = all_dense(COSTS.parts)

    def stretched(chosen: Selection) -> float:
        return COSTS.latency_ms(dense) + 1.3 * (COSTS.latency_ms(chosen) - COSTS.latency_ms(dense))

    chance = random.Random(4)
    drawn = [draw(chance) for _ in range(12)]
    costs = fit_latency_model(COSTS, KINDS, "instructions", [(each, stretched(each)) for each in drawn]).costs
    assert costs.latency_ms(dense) == pytest.approx(COSTS.latency_ms(dense))
    for name, row in COSTS.parts.items():
        assert costs.parts[name][DENSE].latency_ms == pytest.approx(1.3 * row[DENSE].latency_ms, rel=0.1)


def test_a_whole_that_sums_to_next_to_nothing_spoils_no_other() -> None:
    """Layers alone pay for a call each, which the model does not: where all are smallest, more seems saved than is."""
    parts = {
        name: {each: replace(cost, latency_ms=cost.latency_ms + 0.6) for each, cost in row.items()}
        for name, row in COSTS.parts.items()
    }
    smallest = {name: min(row.values(), key=lambda cost: cost.latency_ms).latency_ms for name, row in parts.items()}
    costs = replace(COSTS, parts=parts, rest_latency_ms=-sum(smallest.values()) - 0.02)
    fastest = ranks(dict.fromkeys(LAYERS, RANKS[0]))
    assert costs.latency_ms(fastest) < 0

    chance = random.Random(5)
    taught = [(each, costs.latency_ms(each)) for each in (draw(chance) for _ in range(6))]
    model = fit_latency_model(costs, KINDS, "instructions", [(fastest, 1.5), *taught])
    assert model.predict(fastest).ms == pytest.approx(1.5, abs=0.1)
    errors = [abs(model.predict(each).ms / costs.latency_ms(each) - 1) for each in (draw(chance) for _ in range(20))]
    assert sum(errors) / 20 < 0.15  # 0.28 where its error was a share of that sum


@pytest.mark.parametrize("noise", [0.0005, 0.0015, 0.005])
def test_intervals_hold_the_truth_as_often_as_they_say(noise: float) -> None:
    """Whatever the board's own spread is, around what is expected of an instruction clock."""
    chance = random.Random(2)
    held = total = 0
    for _ in range(20):
        taught = [(each, truth(each, chance.gauss(0, noise))) for each in (draw(chance) for _ in range(8))]
        model = fit_latency_model(COSTS, KINDS, "instructions", taught)
        for each in (draw(chance) for _ in range(20)):
            interval = model.predict(each)
            held += interval.low_ms <= truth(each, chance.gauss(0, noise)) <= interval.high_ms
            total += 1
    assert 0.83 < held / total < 0.99


def test_a_dense_model_is_what_was_measured() -> None:
    chance = random.Random(3)
    taught = [(each, truth(each)) for each in (draw(chance) for _ in range(5))]
    model = fit_latency_model(COSTS, KINDS, "wall", taught)
    everything_dense = all_dense(LAYERS)
    assert model.predict(everything_dense).ms == pytest.approx(COSTS.latency_ms(everything_dense))


def test_layers_that_were_not_measured_widen_the_interval() -> None:
    guessed = CostTable(
        {
            name: {
                choice: Cost(cost.latency_ms, 0, 0, 0.1 * cost.latency_ms, "predicted") for choice, cost in row.items()
            }
            for name, row in COSTS.parts.items()
        },
        2.0,
        0,
    )
    chance = random.Random(4)
    taught = [(each, truth(each)) for each in (draw(chance) for _ in range(8))]
    chosen = draw(chance)
    wide, narrow = (fit_latency_model(costs, KINDS, "instructions", taught) for costs in (guessed, COSTS))
    assert wide.std_ms(chosen) > 1.5 * narrow.std_ms(chosen)
    assert narrow.predict(chosen).ms < narrow.upper_ms(chosen, 0.99) < wide.upper_ms(chosen, 0.99)
