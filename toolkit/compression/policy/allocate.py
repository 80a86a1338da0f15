"""The policy allocator: thresholds by a trained policy for one task, the budget kept by bisection."""

from toolkit.compression.allocation import Allocation, Limits
from toolkit.compression.costs import CostTable
from toolkit.compression.gains import GainCurve
from toolkit.compression.policy.embedding import TaskEmbedding
from toolkit.compression.policy.network import Policy, room_of
from toolkit.compression.policy.thresholds import allocate_by_thresholds


def allocate_policy(
    gains: dict[str, GainCurve], costs: CostTable, limits: Limits, *, policy: Policy, embedding: TaskEmbedding
) -> Allocation:
    """One call of the policy, no search. Raises BudgetError if nothing fits, BadInput on another backbone's embedding.

    With `policy` and `embedding` bound (functools.partial) it is an Allocator.
    """
    thresholds = policy.log_thresholds(embedding, room_of(costs, limits))
    return allocate_by_thresholds(gains, costs, limits, thresholds)
