"""Whatever thresholds say, the budget holds; what they say decides who gets it."""

import random

import pytest

from tests.choices import by_size, curve, ranks
from toolkit.choice import all_dense
from toolkit.compression import Cost, CostTable, GainCurve, Limits, allocate_exact, allocate_greedy
from toolkit.compression.allocation import fits
from toolkit.compression.policy import allocate_by_thresholds
from toolkit.errors import BudgetError

RANKS = tuple(range(8, 65, 8))


def measured_like(seed: int) -> tuple[dict[str, GainCurve], CostTable]:
    """Gains with falling returns, times in noisy steps as boards take them, bytes in proportion to ranks."""
    draw = random.Random(seed)
    gains, layers = {}, {}
    for name in map(str, range(draw.randint(1, 12))):
        scale, decay = 10 ** draw.uniform(-4, 1), draw.uniform(0.5, 0.95)
        gains[name] = curve(name, {rank: scale * (1 - decay ** (rank / 8)) for rank in RANKS}, scale)
        rows = {size: Cost(0.01 * size * draw.uniform(0.7, 1.3), 400 * size, draw.randint(0, 9999)) for size in RANKS}
        layers[name] = by_size({None: Cost(draw.uniform(0.3, 1.2), 40_000, draw.randint(0, 9999)), **rows})
    return gains, CostTable(layers, 0.1, 1000, base_peak_bytes=5000, peak_per_byte=draw.uniform(1, 2))


@pytest.mark.slow
def test_a_thousand_random_tasks_and_budgets_and_every_one_holds() -> None:
    refused = 0
    for seed in range(1000):
        gains, costs = measured_like(seed)
        draw = random.Random(-seed - 1)
        dense = all_dense(costs.parts)
        shares = [draw.choice([None, draw.uniform(0.05, 1.1)]) for _ in range(3)]
        latency, size, peak = (
            None if share is None else share * whole
            for share, whole in zip(
                shares, (costs.latency_ms(dense), costs.size_bytes(dense), costs.peak_bytes(dense)), strict=True
            )
        )
        limits = Limits(latency, None if size is None else int(size), None if peak is None else int(peak))
        thresholds = {name: draw.uniform(-5, 5) for name in gains}
        try:
            found = allocate_by_thresholds(gains, costs, limits, thresholds)
        except BudgetError:
            refused += 1
            with pytest.raises(BudgetError):  # nor does the exact one find anything
                allocate_exact(gains, costs, limits)
        else:
            assert fits(found.selection, costs, limits), seed
    assert 0 < refused < 300  # the draw is neither all trivial nor all hopeless


def test_one_threshold_for_all_layers_is_about_as_good_as_greedy() -> None:
    for seed in range(40):
        gains, costs = measured_like(seed)
        limits = Limits(size_bytes=int(0.5 * costs.size_bytes(all_dense(costs.parts))))
        found = allocate_by_thresholds(gains, costs, limits, dict.fromkeys(gains, 0.0))
        assert found.gain >= 0.95 * allocate_greedy(gains, costs, limits).gain


def test_a_higher_threshold_takes_from_its_layer_and_gives_to_the_others() -> None:
    gains = {name: curve(name, {size: 1 - 0.8 ** (size / 8) for size in RANKS}, 1.0) for name in "ab"}
    row = by_size({None: Cost(1.0, 80_000), **{size: Cost(size / 100, 1000 * size) for size in RANKS}})
    costs = CostTable({"a": row, "b": row}, 0.0, 0)
    limits = Limits(size_bytes=64_000)
    even, tilted = (
        allocate_by_thresholds(gains, costs, limits, {"a": -delta, "b": delta}).selection for delta in (0.0, 0.3)
    )
    assert even == ranks({"a": 32, "b": 32})
    # A step pays 0.8 of the one below it: 2 x 0.3 = 2.7 steps of log 0.8.
    assert tilted == ranks({"a": 40, "b": 24})


def test_without_limits_everything_that_gains_is_kept() -> None:
    gains, costs = measured_like(3)
    found = allocate_by_thresholds(gains, costs, Limits(), dict.fromkeys(gains, 0.0))
    assert found.gain == pytest.approx(sum(curve.dense for curve in gains.values()), rel=0.05)
