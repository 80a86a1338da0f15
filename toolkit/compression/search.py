"""The allocator that tries: AMC-style search (He et al. 2018), rewarded by real accuracy.

From AMC: layers are visited in order, an action in 0..1 says how much of the layer to keep, it is clipped so that the
layers still to come can meet the budget (Algorithm 1), and the reward is the accuracy of the model so made, untrained.
AMC learns its actions by DDPG; here the cross-entropy method (Rubinstein 1999) does: no state of an episode depends on
chance, so that a policy is one action a layer, and one Gaussian for each of them is a policy over policies. It is the
reference that asks the model itself, in minutes, what the other allocators answer from gain curves in milliseconds.
"""

from collections.abc import Callable

import numpy as np

from toolkit.choice import Choice, Selection
from toolkit.compression.allocation import Allocation, Limits, describe, fits, spend
from toolkit.compression.costs import CostTable
from toolkit.compression.gains import GainCurve
from toolkit.compression.greedy import cheapest

EPISODES = 200
# Episodes between two updates, the best of them that the policy moves to, and how far it moves.
_POPULATION, _ELITE, _STEP = 20, 5, 0.7
# Standard deviation of an action: at first over all there is; at last enough to reach the next choice.
_SPREAD, _LEAST_SPREAD = 0.4, 0.02


def allocate_search(
    gains: dict[str, GainCurve],
    costs: CostTable,
    limits: Limits,
    *,
    accuracy: Callable[[Selection], float],
    seed: int,
    on_progress: Callable[[int, int], None],
    episodes: int = EPISODES,
) -> Allocation:
    """The choices of the highest `accuracy` among those tried, the fastest of equals; gains only describe it.

    No choices are asked for twice.

    The bound is the gain of leaving every layer dense. Raises BudgetError if nothing fits.
    """
    least = cheapest(costs, limits)
    ladders = {part: _ladder(costs, limits, part) for part in costs.parts}
    generator = np.random.default_rng(seed)
    mean, spread = np.full(len(ladders), 0.5), np.full(len(ladders), _SPREAD)
    rewards: dict[Selection, float] = {}
    best, most = least, -np.inf
    for done in range(0, episodes, _POPULATION):
        actions = np.clip(generator.normal(mean, spread, (min(_POPULATION, episodes - done), len(mean))), 0, 1)
        reward = np.zeros(len(actions))
        for episode, action in enumerate(actions):
            chosen = _clipped(action, ladders, least, costs, limits)
            if chosen not in rewards:
                rewards[chosen] = accuracy(chosen)
            reward[episode] = rewards[chosen]
            if (reward[episode], -costs.latency_ms(chosen)) > (most, -costs.latency_ms(best)):
                best, most = chosen, reward[episode]
            on_progress(done + episode + 1, episodes)
        elite = actions[np.argsort(-reward, kind="stable")[:_ELITE]]
        mean += _STEP * (elite.mean(0) - mean)
        spread = np.maximum(spread + _STEP * (elite.std(0) - spread), _LEAST_SPREAD)
    return describe(best, gains, costs)


def _clipped(
    action: np.ndarray, ladders: dict[str, list[Choice]], least: Selection, costs: CostTable, limits: Limits
) -> Selection:
    """Part by part the choice that the action names, or the largest below that leaves the rest a choice that fits."""
    chosen = dict(least)
    for wanted, (part, ladder) in zip(action, ladders.items(), strict=True):
        for choice in reversed(ladder[: round(wanted * (len(ladder) - 1)) + 1]):
            if fits({**chosen, part: choice}, costs, limits):
                chosen[part] = choice
                break
    return Selection(chosen)


def _ladder(costs: CostTable, limits: Limits, part: str) -> list[Choice]:
    """A part's choices, the cheapest first."""
    return sorted(costs.parts[part], key=lambda choice: spend(costs, limits, part, choice))
