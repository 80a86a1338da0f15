"""Stage 4: calibrate, draw gain curves, correct the cost table on whole models, and choose a rank for every layer."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from toolkit import profiling
from toolkit.adaptation import features_of
from toolkit.compression import (
    ALLOCATORS,
    Allocation,
    CostTable,
    GainCurve,
    Limits,
    Spectrum,
    allocator_named,
    break_even_rank,
    calibrate,
    compress,
    gain_curve,
    jactus_spectrum,
    matrix,
)
from toolkit.deployment import FrontierPoint
from toolkit.errors import BudgetError
from toolkit.profiling import Budget
from toolkit.request import Request
from toolkit.stages.load import Job
from toolkit.stages.probe import Board
from toolkit.stages.profile import Profiled
from toolkit.stages.watch import Watch

_CALIBRATION_EXAMPLES = 512
# Whole models are timed at these shares of the way from the fastest allocation to the dense model.
_FRONTIER = (0.15, 0.4, 0.7)


@dataclass(frozen=True)
class Planned:
    """The allocation with all that it was decided on."""

    spectra: dict[str, Spectrum]
    gains: dict[str, GainCurve]
    costs: CostTable
    allocation: Allocation
    limits: Limits
    frontier: tuple[FrontierPoint, ...]


def allocate(board: Board, job: Job, profile: Profiled, budget: Budget, request: Request, watch: Watch) -> Planned:
    """Choose a rank, or dense, for every layer. Raises BudgetError with the nearest feasible budget."""
    with watch.stage("allocate"):
        statistics = calibrate(job.network.backbone, job.layers, _calibration(job, request.seed), seed=request.seed)
        spectra = {
            name: jactus_spectrum(matrix(layer), statistics[name], max(1, break_even_rank(layer)))
            for name, layer in job.layers.items()
        }
        costs = profiling.cost_table(
            job.layers,
            profile.input_shapes,
            board.target.rank_multiple,
            profile.profile,
            profile.dense,
            profile.memory,
        )
        gains = {
            name: gain_curve(name, matrix(job.layers[name]), spectra[name], tuple(rank for rank in row if rank))
            for name, row in costs.layers.items()
        }
        costs, frontier = _frontier(board, job, profile, spectra, gains, costs, watch)
        limits = profiling.plan_limits(budget, board.target.clock, profile.dense, costs)
        allocation = allocator_named(request.allocator, request.seed)(gains, costs, limits)
        return Planned(spectra, gains, costs, allocation, limits, frontier)


def _calibration(job: Job, seed: int) -> Iterator[tuple[torch.Tensor, Callable[[torch.Tensor], torch.Tensor]]]:
    """What the model was pretrained for (if given), then the task."""
    if job.task.general is not None:
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(job.task.general), generator=generator)[:_CALIBRATION_EXAMPLES]
        for x in job.task.general.x[order].split(64):
            yield x, job.general_logits
    for x in job.task.support.x.split(64):
        yield x, job.dense_head


def _frontier(
    board: Board,
    job: Job,
    profile: Profiled,
    spectra: dict[str, Spectrum],
    gains: dict[str, GainCurve],
    costs: CostTable,
    watch: Watch,
) -> tuple[CostTable, tuple[FrontierPoint, ...]]:
    """Time whole compact models on the board: they correct the table, and show what latency buys before recovery."""
    everything_dense: dict[str, int | None] = dict.fromkeys(job.layers)
    fastest = sum(min(cost.latency_ms for cost in row.values()) for row in costs.layers.values())
    least, most = costs.rest_latency_ms + fastest, costs.latency_ms(everything_dense)
    rows, choices, measured = profile.profile, [], []
    points = [("dense", everything_dense, profile.dense)]
    for label, ranks in _worth_timing(gains, costs, least, most, everything_dense):
        backbone = compress(job.network.backbone, spectra, ranks)
        whole, rows = profiling.time_model(
            board.agent, job.runtime, backbone, job.dense_head, job.example, rows, profile.path
        )
        choices.append(ranks)
        measured.append(whole)
        points.append((label, ranks, whole))
        watch.progress.advance(len(choices), len(_FRONTIER))
    costs = profiling.corrected(costs, choices, measured)
    return costs, tuple(
        FrontierPoint(
            label=label,
            latency_ms=whole.measurement.median_ms,
            predicted_ms=costs.latency_ms(ranks),
            size_bytes=whole.size_bytes,
            accuracy=_accuracy(job, spectra, ranks),
            recovered=label == "dense",
        )
        for label, ranks, whole in points
    )


def _worth_timing(
    gains: dict[str, GainCurve],
    costs: CostTable,
    least_ms: float,
    most_ms: float,
    everything_dense: dict[str, int | None],
) -> Iterator[tuple[str, dict[str, int | None]]]:
    """Distinct compact models along the way from the fastest to dense; the smallest where none is faster than dense."""
    seen = [everything_dense]
    for share in _FRONTIER:
        try:
            ranks = ALLOCATORS["exact"](gains, costs, Limits(latency_ms=least_ms + share * (most_ms - least_ms))).ranks
        except BudgetError:
            continue
        if ranks not in seen:
            seen.append(ranks)
            yield f"exact at {share:.0%} of the way to dense", ranks
    smallest = {layer: min(row, key=lambda rank: row[rank].weight_bytes) for layer, row in costs.layers.items()}
    if len(seen) == 1 and smallest not in seen:
        yield "smallest", smallest


def _accuracy(job: Job, spectra: dict[str, Spectrum], ranks: dict[str, int | None]) -> float:
    """On the general classes if the task has them, else on the task's queries; no core is trained."""
    backbone = compress(job.network.backbone, spectra, ranks)
    held_out, head = (
        (job.task.general_query, job.general_logits) if job.task.general_query else (job.task.query, job.dense_head)
    )
    with torch.no_grad():
        return float((head(features_of(backbone, held_out.x)).argmax(1) == held_out.y).float().mean())
