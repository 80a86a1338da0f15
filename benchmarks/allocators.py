"""How good the allocators are: the exact one's proof, and true accuracy at equal latency by every one of them.

    PYTHONPATH=. python benchmarks/allocators.py --data ../shared/data   # three models, three seeds, emulated board
    PYTHONPATH=. python benchmarks/allocators.py --quick                 # the solver; digits from the stored profile

Solver: random tables of 200 layers x 64 choices, with smooth and with staircase times, under budgets of latency, size
and peak memory that all bind. Accuracy: what `deploy plan --frontier` measures before any core is trained, on held-out
examples of the classes that the model was pretrained on, at five limits of the median between the fastest and the dense
model; latencies are those of the cost table corrected by whole models timed on the same board, whose error
`latency_model.py` measures. A frontier that was drawn before is not drawn again: delete `benchmarks/frontiers` in the
cache folder to start anew.
"""

import argparse
import os
import random
import statistics
import time
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import accumulate
from pathlib import Path
from typing import Any

from record import Figure, write
from rich.console import Console
from rich.table import Table

from benchmarks.own_board import own_board
from benchmarks.random_models import MODELS
from toolkit import pipeline
from toolkit.cache import cache_folder, digest
from toolkit.choice import DENSE, Choice, all_dense, rank
from toolkit.compression import Cost, CostTable, GainCurve, Limits, allocate_exact
from toolkit.compression.allocation import fits
from toolkit.compression.knapsack import least
from toolkit.frontier import Frontier, save_frontier
from toolkit.progress import Silent
from toolkit.request import Overrides, Request
from toolkit.targets import Target, load_target

_TARGET = "emulated-pi"
_BASELINES = ("uniform", "magnitude", "random")
_LAYERS, _CHOICES = 200, 64


def main() -> None:
    """Run, print the tables, write results/allocators.json (or allocators-quick.json)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one seed of the digits, from the stored profile")
    parser.add_argument("--data", type=Path, help="folder of CIFAR-10 and the spoken digits")
    arguments = parser.parse_args()
    if arguments.data:
        os.environ["EDGE_DEPLOY_DATA"] = str(arguments.data.resolve())
    started = time.monotonic()
    seeds = [60] if arguments.quick else [60, 61, 62]
    solved = [_solve(staircase, share, seed) for staircase in (False, True) for share in _SHARES for seed in seeds]
    figures = _solver_figures(solved)
    rows: list[dict[str, Any]] = [*solved]
    with nullcontext() if arguments.quick else own_board(_TARGET) as board:
        for name in list(MODELS)[:1] if arguments.quick else MODELS:
            drawn = [_draw(name, seed, board) for seed in seeds]
            found = [row for frontier in drawn for row in _rows(name, frontier)]
            _print(name, found)
            figures |= _accuracy_figures(name, found, len(seeds))
            rows += found
    write("allocators-quick" if arguments.quick else "allocators", figures, rows, seeds=seeds, started=started)


# Of the way from the least of each resource to the dense model's: latency, size, peak.
_SHARES = ((0.5, 0.5, 0.5), (0.2, 0.2, 0.2), (0.3, 0.6, 0.4), (0.05, 0.05, 0.05))


def _solve(staircase: bool, shares: tuple[float, float, float], seed: int) -> dict[str, Any]:
    gains, costs = _problem(staircase, seed)
    dense = all_dense(costs.parts)
    smallest = least("size_bytes", costs, Limits())
    fastest = least("latency_ms", costs, Limits())
    assert smallest is not None
    assert fastest is not None

    def between(low: float, high: float, share: float) -> float:
        return low + share * (high - low)

    limits = Limits(
        between(costs.latency_ms(fastest), costs.latency_ms(dense), shares[0]),
        int(between(costs.size_bytes(smallest), costs.size_bytes(dense), shares[1])),
        int(between(costs.peak_bytes(smallest), costs.peak_bytes(dense), shares[2])),
    )
    began = time.process_time()
    found = allocate_exact(gains, costs, limits)
    seconds = time.process_time() - began
    assert fits(found.selection, costs, limits)
    kind = "staircase" if staircase else "smooth"
    return {"solver": kind, "shares": shares, "seed": seed, "seconds": seconds, "gap": found.bound_gap}


def _problem(staircase: bool, seed: int) -> tuple[dict[str, GainCurve], CostTable]:
    """Layers of unlike shapes and worth; a staircase has eight steps, some of which cost half as much again."""
    draw = random.Random(seed)
    sizes = [8 * step for step in range(1, _CHOICES)]
    gains: dict[str, GainCurve] = {}
    parts: dict[str, dict[Choice, Cost]] = {}
    for name in map(str, range(_LAYERS)):
        inputs, outputs, positions = draw.randint(64, 2048), draw.randint(64, 2048), draw.randint(1, 200)
        decay, worth, speed = draw.uniform(0.02, 0.12), 10 ** draw.uniform(-3, 1), draw.uniform(0.5e-8, 2e-8)
        rising = list(accumulate(draw.lognormvariate(0, 0.3) * 2.718 ** (-decay * step) for step in range(_CHOICES)))
        by_choice = {rank(size): worth * each / rising[-1] for size, each in zip(sizes, rising, strict=False)}
        gains[name] = GainCurve(name, by_choice, worth)
        row: dict[Choice, Cost] = {DENSE: _cost(inputs, outputs, positions, 512, speed * 512 * draw.uniform(0.8, 1.3))}
        for size in sizes:
            steps = 64 * -(-size // 64) * (1.5 if draw.random() < 0.1 else 1.0) if staircase else size
            row[rank(size)] = _cost(inputs, outputs, positions, size, speed * steps * draw.uniform(0.97, 1.03))
        parts[name] = row
    return gains, CostTable(parts, 1.0, 10_000, base_peak_bytes=5e6, peak_per_byte=1.3)


def _cost(inputs: int, outputs: int, positions: int, size: int, speed: float) -> Cost:
    wide = inputs + outputs
    return Cost(speed * positions * wide, 4 * size * wide, 4 * positions * (wide + size))


def _solver_figures(rows: list[dict[str, Any]]) -> dict[str, Figure]:
    seconds, gap = max(row["seconds"] for row in rows), max(row["gap"] for row in rows)
    how = f"largest of {len(rows)} random tables of {_LAYERS} layers x {_CHOICES} choices, three budgets"
    return {
        "exact: CPU seconds": Figure(seconds, "<= 2", seconds <= 2, how),
        "exact: gap to the bound": Figure(gap, "<= 0.001", gap <= 1e-3, how),
    }


def _draw(name: str, seed: int, board: Target | None) -> Frontier:
    """Drawn on that board; without one, from the stored profile."""
    model, task = MODELS[name]
    ranks = {"channels": False, "depth": False, "precision": "fp32"}
    request = Request(model=model, task=task, runtime="onnxruntime", seed=seed, **ranks)
    if board is None:
        return pipeline.frontier_offline(request, load_target(_TARGET), Overrides(), Silent())
    kept = cache_folder() / "benchmarks" / "frontiers" / f"{digest(model, task, seed)[:16]}.json"
    if not kept.exists():
        Console().print(f"{name}, seed {seed}")
        kept.parent.mkdir(parents=True, exist_ok=True)
        save_frontier(pipeline.frontier(request, board, Overrides(), Silent()), kept)
    return Frontier.model_validate_json(kept.read_text())


def _rows(name: str, frontier: Frontier) -> Iterator[dict[str, Any]]:
    """Everything but the limit at which all is dense."""
    limits = sorted({point.limit_ms for point in frontier.points})
    for point in (frontier.dense, *frontier.points):
        if point.allocator == "dense" or point.limit_ms < limits[-1]:
            place = limits.index(point.limit_ms) if point.allocator != "dense" else None
            yield {"model": name, "seed": frontier.seed, "on": frontier.judged_on, "place": place, **point.model_dump()}


def _mean(rows: list[dict[str, Any]], allocator: str, place: int | None = None) -> float | None:
    """Mean accuracy; None where the allocator found nothing at some limit."""
    chosen = [row for row in rows if row["allocator"] == allocator and place in (None, row["place"])]
    return statistics.fmean(row["accuracy"] for row in chosen) if chosen else None


def _accuracy_figures(name: str, rows: list[dict[str, Any]], seeds: int) -> dict[str, Figure]:
    """Over the limits at which every allocator found something, so that all are compared on the same."""
    places = {row["place"] for row in rows} - {None}
    common = {
        place
        for place in places
        if all(
            sum(row["allocator"] == each and row["place"] == place for row in rows) == seeds
            for each in ("exact", "greedy", *_BASELINES)
        )
    }
    rows = [row for row in rows if row["place"] in common]
    mean = {each: _mean(rows, each) or 0.0 for each in ("exact", "greedy", *_BASELINES)}
    how = f"mean accuracy before recovery over {len(common)} limits of the median and {seeds} seeds: " + ", ".join(
        f"{each} {value:.2%}" for each, value in mean.items()
    )
    best = max(mean[each] for each in _BASELINES)
    return {
        f"{name}: exact over greedy": Figure(
            mean["exact"] - mean["greedy"], ">= 0", mean["exact"] >= mean["greedy"], how
        ),
        f"{name}: greedy over the best baseline": Figure(mean["greedy"] - best, "> 0", mean["greedy"] > best, how),
    }


def _print(name: str, rows: list[dict[str, Any]]) -> None:
    table = Table(title=f"{name}: accuracy before recovery, mean of seeds")
    allocators = ("exact", "greedy", *_BASELINES)
    for column in ("median limit, ms", *allocators):
        table.add_column(column, justify="right")
    for place in sorted({row["place"] for row in rows} - {None}):
        limit = statistics.fmean(row["limit_ms"] for row in rows if row["place"] == place)
        cells = [_mean(rows, each, place) for each in allocators]
        table.add_row(f"{limit:.3g}", *("–" if cell is None else f"{cell:.1%}" for cell in cells))
    dense = statistics.fmean(row["accuracy"] for row in rows if row["allocator"] == "dense")
    Console().print(table, f"dense: {dense:.1%}")


if __name__ == "__main__":
    main()
