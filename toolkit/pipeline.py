"""The deployment as one recipe, top to bottom: ten stages, each a function of `toolkit.stages` called in order.

measure -> budget -> allocate -> compress -> export -> install -> verify on the board -> adapt on the board -> report.
"""

import time
from dataclasses import dataclass
from pathlib import Path

from toolkit import stages
from toolkit.deployment import Deployment
from toolkit.devices import Home, hold
from toolkit.frontier import Frontier
from toolkit.profiling import Accepted, judged
from toolkit.progress import Progress
from toolkit.request import Overrides, Request
from toolkit.runtimes.bundle import Bundle
from toolkit.stages import Watch
from toolkit.stages.adapt import Adapted
from toolkit.stages.compress import Compacted
from toolkit.stages.load import Job
from toolkit.stages.planned import Planned
from toolkit.stages.probe import Board, Known
from toolkit.stages.profile import Profiled
from toolkit.stages.summarise import Made
from toolkit.targets import Target


def profile(request: Request, target: Target, progress: Progress) -> Profiled:
    """Stages 1-2: measure the model's layers, and the dense whole, on the board; what was measured before is kept."""
    watch = Watch(progress)
    with hold(target) as home:
        request = stages.choose_runtime(home, request, target, watch)
        job = stages.load(request, target, watch)
        board = stages.probe(home, target, job, watch)
        return stages.profile(board, job, watch, request.profile_budget_s)


def plan(request: Request, target: Target, overrides: Overrides, progress: Progress, folder: Path) -> Deployment:
    """Stages 1-4: what would be deployed and what it is predicted to cost. Nothing is installed.

    `folder` receives result.json and report.html. Raises BadInput, BoardError or BudgetError, each with what to do
    next.
    """
    watch = Watch(progress)
    with hold(target) as home:  # first: a board that is off, or in use, is said before a model is trained
        request = stages.choose_runtime(home, request, target, watch)
        job = stages.load(request, target, watch)
        board = stages.probe(home, target, job, watch)
        profile = stages.profile(board, job, watch, request.profile_budget_s)
        return _planned(request, job, board, profile, overrides, watch, folder)


def plan_offline(
    request: Request, target: Target, overrides: Overrides, progress: Progress, folder: Path
) -> Deployment:
    """The same without the board: what its stored profile does not hold is predicted, or refused."""
    watch = Watch(progress)
    job = stages.load(request, target, watch, offline=True)
    board = stages.recall(target, job, watch)
    profile = stages.profile(board, job, watch)
    return _planned(request, job, board, profile, overrides, watch, folder)


def frontier(request: Request, target: Target, overrides: Overrides, progress: Progress) -> Frontier:
    """Stages 1-3, and every allocator at latencies from the fastest to the dense model's. Nothing is installed."""
    watch = Watch(progress)
    with hold(target) as home:
        request = stages.choose_runtime(home, request, target, watch)
        job = stages.load(request, target, watch)
        board = stages.probe(home, target, job, watch)
        profile = stages.profile(board, job, watch, request.profile_budget_s)
        budget = stages.budget(board, profile, overrides, watch)
        return stages.frontier(board, job, profile, budget, request, watch)


def frontier_offline(request: Request, target: Target, overrides: Overrides, progress: Progress) -> Frontier:
    """The same without the board, from its stored profile."""
    watch = Watch(progress)
    job = stages.load(request, target, watch, offline=True)
    board = stages.recall(target, job, watch)
    profile = stages.profile(board, job, watch)
    budget = stages.budget(board, profile, overrides, watch)
    return stages.frontier(board, job, profile, budget, request, watch)


def plan_estimate(
    request: Request, target: Target, overrides: Overrides, progress: Progress, folder: Path
) -> Deployment:
    """The same from the target's datasheet: an estimate, and labelled as one."""
    watch = Watch(progress)
    job = stages.load(request, target, watch, offline=True)
    board = stages.imagine(target, job, watch)
    return _planned(request, job, board, stages.estimate(board, job, watch), overrides, watch, folder)


def _planned(
    request: Request, job: Job, board: Known, profile: Profiled, overrides: Overrides, watch: Watch, folder: Path
) -> Deployment:
    budget = stages.budget(board, profile, overrides, watch)
    planned = stages.allocate(board, job, profile, budget, request, watch)
    result = stages.summarise(request, job, board, planned, watch)
    stages.report(result, folder, watch)
    return result


def deploy(request: Request, target: Target, overrides: Overrides, progress: Progress, folder: Path) -> Deployment:
    """All ten stages; `folder` receives result.json and report.html.

    A release that misses what was asked for or differs from the host is not activated, and the board serves what it
    served before: the result then says by how much it missed (`refusals`). Raises BadInput, BoardError or BudgetError.
    """
    watch, started = Watch(progress), time.monotonic()
    progress.note(stages.forecast(request, target))
    with hold(target) as home:  # first: a board that is off, or in use, is said before a model is trained
        done = release(home, request, target, overrides, watch)
        adapted = stages.adapt(done.board, done.job, done.bundle, done.verified, request, watch)
        result = done.summarise(request, watch, adapted)
        stages.report(result, folder, watch)
        stages.remember(request, target, time.monotonic() - started)
        return result


@dataclass(frozen=True)
class Released:
    """A release on its board, accepted or refused, with all that it was made of and decided on."""

    job: Job
    board: Board
    planned: Planned
    compact: Compacted
    bundle: Bundle
    verified: Accepted

    def summarise(self, request: Request, watch: Watch, adapted: Adapted | None = None) -> Deployment:
        """The result so far."""
        made = Made(self.compact, self.bundle, self.verified, adapted)
        return stages.summarise(request, self.job, self.board, self.planned, watch, made)


def release(
    home: Home, request: Request, target: Target, overrides: Overrides, watch: Watch, *, smaller_tries: int = 2
) -> Released:
    """Stages 1-8 on a board that is held: what fits its budget is then in service.

    What the board refuses for its latency alone is chosen smaller and tried again, so often; a default that it still
    misses then gives way. Without tries the board's first word stands. Raises as `deploy` does.
    """
    request = stages.choose_runtime(home, request, target, watch)
    job = stages.load(request, target, watch)
    board = stages.probe(home, target, job, watch)
    profile = stages.profile(board, job, watch, request.profile_budget_s)
    budget = stages.budget(board, profile, overrides, watch)
    planned = stages.allocate(board, job, profile, budget, request, watch)
    for tries_left in range(smaller_tries, -1, -1):
        compact = stages.compress(job, planned, request, watch)
        bundle = stages.export(job, board, compact, request.max_forgetting, request.spare_classes, watch)
        stages.install(board, bundle, request.sign, watch)
        verified = stages.verify(board, bundle, planned.budget, watch)
        if smaller_tries:
            planned = stages.renew_default(board, job, planned, verified, watch)
            verified = judged(verified, bundle.inference_bytes, planned.budget)
        smaller = stages.allocate_smaller(board, job, planned, verified, request, watch) if tries_left else None
        if smaller is None:
            break
        stages.conclude(board, bundle, verified, watch)
        planned = smaller
    if smaller_tries:
        planned = stages.give_way(planned, verified, watch)
        verified = judged(verified, bundle.inference_bytes, planned.budget)
    verified = stages.hold_accuracy(job, compact, verified, overrides.min_accuracy)
    stages.conclude(board, bundle, verified, watch)
    return Released(job, board, planned, compact, bundle, verified)
