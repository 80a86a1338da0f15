"""Sums of layers become whole models: what they miss is learned from a few, and the interval says what is left."""

import random

import pytest

from toolkit.compression import Cost, CostTable
from toolkit.profiling.latency_model import Ranks, fit_latency_model

RANKS = (8, 16, 24, 32)
LAYERS = [f"layer{index}" for index in range(12)]
KINDS = {name: "linear" if index % 2 else "conv kxk" for index, name in enumerate(LAYERS)}
COSTS = CostTable(
    {
        name: {None: Cost(1.0 + index / 10, 1000), **{rank: Cost(0.2 + rank / 50 + index / 50, 10) for rank in RANKS}}
        for index, name in enumerate(LAYERS)
    },
    rest_latency_ms=2.0,
    rest_bytes=0,
)


def draw(chance: random.Random) -> Ranks:
    return {name: chance.choice([None, *RANKS]) for name in LAYERS}


def truth(ranks: Ranks, noise: float = 0.0) -> float:
    """A board on which every compact convolution costs 0.05 ms more inside a model than alone, and is 10 % slower."""
    extra = sum(
        0.05 + 0.1 * (COSTS.layers[name][rank].latency_ms - COSTS.layers[name][None].latency_ms)
        for name, rank in ranks.items()
        if rank is not None and KINDS[name] == "conv kxk"
    )
    return (COSTS.latency_ms(ranks) + extra) * (1 + noise)


def test_with_nothing_measured_the_sum_is_believed() -> None:
    model = fit_latency_model(COSTS, KINDS, "instructions", [])
    ranks = draw(random.Random(0))
    assert model.predict(ranks).ms == pytest.approx(COSTS.latency_ms(ranks))
    assert model.predict(ranks).low_ms < truth(ranks) < model.predict(ranks).high_ms


def test_a_few_whole_models_teach_what_sums_miss() -> None:
    chance = random.Random(1)
    taught = [(ranks, truth(ranks, chance.gauss(0, 0.002))) for ranks in (draw(chance) for _ in range(8))]
    model = fit_latency_model(COSTS, KINDS, "instructions", taught)
    unseen = [draw(chance) for _ in range(50)]
    errors = [abs(model.predict(ranks).ms / truth(ranks) - 1) for ranks in unseen]
    plain = [abs(COSTS.latency_ms(ranks) / truth(ranks) - 1) for ranks in unseen]
    assert max(errors) < 0.006 < 0.02 < max(plain)


def test_layers_that_take_longer_inside_a_model_take_longer_dense_too() -> None:
    dense = dict.fromkeys(COSTS.layers)

    def stretched(ranks: Ranks) -> float:
        return COSTS.latency_ms(dense) + 1.3 * (COSTS.latency_ms(ranks) - COSTS.latency_ms(dense))

    chance = random.Random(4)
    drawn = [draw(chance) for _ in range(12)]
    costs = fit_latency_model(COSTS, KINDS, "instructions", [(ranks, stretched(ranks)) for ranks in drawn]).costs
    assert costs.latency_ms(dense) == pytest.approx(COSTS.latency_ms(dense))
    for name, row in COSTS.layers.items():
        assert costs.layers[name][None].latency_ms == pytest.approx(1.3 * row[None].latency_ms, rel=0.1)


@pytest.mark.parametrize("noise", [0.0005, 0.0015, 0.005])
def test_intervals_hold_the_truth_as_often_as_they_say(noise: float) -> None:
    """Whatever the board's own spread is, around what is expected of an instruction clock."""
    chance = random.Random(2)
    held = total = 0
    for _ in range(20):
        taught = [(ranks, truth(ranks, chance.gauss(0, noise))) for ranks in (draw(chance) for _ in range(8))]
        model = fit_latency_model(COSTS, KINDS, "instructions", taught)
        for ranks in (draw(chance) for _ in range(20)):
            interval = model.predict(ranks)
            held += interval.low_ms <= truth(ranks, chance.gauss(0, noise)) <= interval.high_ms
            total += 1
    assert 0.83 < held / total < 0.99


def test_a_dense_model_is_what_was_measured() -> None:
    chance = random.Random(3)
    taught = [(ranks, truth(ranks)) for ranks in (draw(chance) for _ in range(5))]
    model = fit_latency_model(COSTS, KINDS, "wall", taught)
    everything_dense: Ranks = dict.fromkeys(LAYERS)
    assert model.predict(everything_dense).ms == pytest.approx(COSTS.latency_ms(everything_dense))


def test_layers_that_were_not_measured_widen_the_interval() -> None:
    guessed = CostTable(
        {
            name: {rank: Cost(cost.latency_ms, 0, 0, 0.1 * cost.latency_ms, "predicted") for rank, cost in row.items()}
            for name, row in COSTS.layers.items()
        },
        2.0,
        0,
    )
    chance = random.Random(4)
    taught = [(ranks, truth(ranks)) for ranks in (draw(chance) for _ in range(8))]
    ranks = draw(chance)
    wide, narrow = (fit_latency_model(costs, KINDS, "instructions", taught) for costs in (guessed, COSTS))
    assert wide.std_ms(ranks) > 1.5 * narrow.std_ms(ranks)
    assert narrow.predict(ranks).ms < narrow.upper_ms(ranks, 0.99) < wide.upper_ms(ranks, 0.99)
