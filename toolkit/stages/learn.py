"""Gather all that allocation decides on: the choices, their cost on this board and their worth."""

from dataclasses import dataclass, replace

from toolkit import profiling
from toolkit.choice import DENSE, Choice, Selection, all_dense
from toolkit.compression import CostTable, Pair
from toolkit.profiling import planned_share
from toolkit.profiling.latency_model import LatencyModel, fit_latency_model
from toolkit.profiling.signature import signature_of
from toolkit.stages.channels import with_channels
from toolkit.stages.depth import with_blocks
from toolkit.stages.effort import is_large
from toolkit.stages.load import Job
from toolkit.stages.probe import Known
from toolkit.stages.profile import Profiled
from toolkit.stages.rounding import with_rounding
from toolkit.stages.watch import Watch
from toolkit.stages.whole_models import FASTEST, Whole, dense_forms, fewer, time_wholes, worth_timing
from toolkit.stages.worth import Worth, weigh
from toolkit.targets import Clock


@dataclass(frozen=True)
class Learned:
    """The worth of each choice, a latency model with the cost table, and the whole models that it was fitted on.

    `spread` is how far a p95 is above its median on this board.
    """

    worth: Worth
    model: LatencyModel
    wholes: list[Whole]
    spread: float
    profile: Profiled

    @property
    def share(self) -> float:
        """Of a budget for a p95, what a median may be planned with."""
        return planned_share(self.model, self.spread, self.likely)

    @property
    def likely(self) -> list[Selection]:
        """Allocations of the kind that is asked for: hardly ever the fastest there is."""
        usual = [whole.selection for whole in self.wholes if whole.label != FASTEST]
        return usual or [all_dense(self.model.costs.parts)]


def learn(board: Known, job: Job, profile: Profiled, curve: str, seed: int, watch: Watch) -> Learned:
    """Weigh the layers' components by that `curve`, and correct the cost table by whole models timed on the board."""
    watch.was_cached = True  # until something has to be computed
    costs = plain_costs(profile)
    smaller = {
        name: tuple(choice for choice in row if choice.precision == "fp32" and choice != DENSE)
        for name, row in costs.parts.items()
    }
    worth = weigh(job, {name: smaller[name] for name in job.layers}, curve, seed, watch)
    worth = with_channels(job, worth, {name: smaller[name] for name in job.groups}, seed, watch)
    worth = with_blocks(job, worth, seed, watch)
    worth = with_rounding(job, worth, profile.parts, profile.precisions.arithmetics, seed, watch)
    choices = list(worth_timing(worth.gains, costs, seed))
    choices = fewer(choices) if is_large(job) else choices
    wholes, profile = time_wholes(board, job, profile, worth.parts, choices, watch)
    spread = profiling.p95_over_median(
        board.target.family.clock,
        [profile.dense.measurement, *(whole.timed.measurement for whole in wholes if whole.label != FASTEST)],
    )
    return Learned(worth, _fitted(job, profile, costs, wholes, board.target.family.clock), wholes, spread, profile)


def plain_costs(profile: Profiled) -> CostTable:
    """What each choice costs as measured layer by layer; exact for the dense model."""
    costs = profiling.cost_table(
        profile.parts,
        profile.profile,
        profile.dense,
        profile.memory,
        profile.borders,
        profile.precisions.arithmetics,
        profile.call_ms,
        {
            precision: rival.measurement.median_ms
            for precision in profile.precisions.arithmetics
            if precision != "fp32" and (rival := profile.precisions.rival) is not None
        },
    )
    return without_fp32(costs) if profile.precisions.demanded else costs


def without_fp32(costs: CostTable) -> CostTable:
    """The same where no part that has another precision stays fp32: a choice that excludes itself."""
    refused = {
        part: frozenset(choice for choice in row if choice.precision == "fp32")
        for part, row in costs.parts.items()
        if Choice(precision="int8") in row or Choice(precision="fp16") in row
    }
    excluded = tuple(Pair((part, part), choices, choices) for part, choices in refused.items())
    return replace(costs, conflicts=(*costs.conflicts, *excluded))


def _fitted(job: Job, profile: Profiled, costs: CostTable, wholes: list[Whole], clock: Clock) -> LatencyModel:
    """The cost table corrected by the whole models that were timed, the dense one in another precision among them."""
    known = [*wholes, *dense_forms(profile)[1:]]
    pairs = [(whole.selection, whole.timed) for whole in known]
    kinds = {
        name: signature_of(layer, profile.input_shapes[name], DENSE).kind
        for name, layer in {**job.layers, **job.fixed}.items()
    }
    kinds |= dict.fromkeys(job.groups, "channels") | dict.fromkeys(job.blocks, "blocks")
    return fit_latency_model(
        profiling.with_overheads(costs, pairs, _layers_of(profile)),
        kinds,
        clock,
        [(chosen, timed.measurement.median_ms) for chosen, timed in pairs],
    )


def _layers_of(profile: Profiled) -> dict[str, int]:
    """How many layers each group and block decides on."""
    return {name: len(part.decides) for name, part in profile.parts.items() if part.decides}
