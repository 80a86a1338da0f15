"""When a measurement counts as slower: false alarms are as rare as stated, and what is slower is caught."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu
from testing.made import counted_samples, wall_samples

from toolkit.testing.compare import FALSE_ALARMS, TOLERANCE_WALL, compare


def test_an_unchanged_release_on_a_machine_of_another_speed_is_unchanged() -> None:
    found = [
        compare(wall_samples(1.0, seed, machine=1 + seed % 5), wall_samples(1.0, 1000 + seed)) for seed in range(50)
    ]
    assert {each.verdict for each in found} == {"unchanged"}


def test_at_the_edge_of_the_tolerance_alarms_are_as_rare_as_stated() -> None:
    found = [
        compare(wall_samples(1 + TOLERANCE_WALL, seed), wall_samples(1.0, 5000 + seed)).verdict for seed in range(1000)
    ]
    assert found.count("slower") <= 1000 * FALSE_ALARMS + 3 * (1000 * FALSE_ALARMS) ** 0.5


def test_a_fifth_slower_is_caught_and_a_fifth_faster_is_noticed() -> None:
    slow, fast = (
        [compare(wall_samples(ms, seed), wall_samples(1.0, 1000 + seed)) for seed in range(20)] for ms in (1.2, 0.8)
    )
    assert {each.verdict for each in slow} == {"slower"}
    assert {each.verdict for each in fast} == {"faster"}
    assert np.median([each.change for each in slow]) == pytest.approx(0.2, abs=0.02)
    assert all(each.low < each.change < each.high for each in (*slow, *fast))


@pytest.mark.parametrize(("now", "before"), [(10, 10), (5, 8), (9, 6)])
def test_the_interval_ends_where_the_rank_test_turns(now: int, before: int) -> None:
    """Shifted by a little less than the lower end SciPy's exact test is significant, by a little more it is not."""
    a, b = wall_samples(1.1, 1, rounds=now), wall_samples(1.0, 2, rounds=before)
    x, y = (np.log(np.array(each.release_ms) / np.array(each.reference_ms)) for each in (a, b))
    low = np.log1p(compare(a, b).low)
    p_values = [mannwhitneyu(x - low + step, y, alternative="greater", method="exact").pvalue for step in (1e-9, -1e-9)]
    assert p_values[0] <= FALSE_ALARMS < p_values[1]


def test_three_percent_more_instructions_are_caught_and_unchanged_ones_are_not() -> None:
    unchanged = {compare(counted_samples(24.0, seed), counted_samples(24.0, 99)).verdict for seed in range(50)}
    slower = {compare(counted_samples(24.72, seed), counted_samples(24.0, 99)).verdict for seed in range(20)}
    assert (unchanged, slower) == ({"unchanged"}, {"slower"})
