"""A convolutional network at 1.5 to 2.6 times less measured latency: low rank, DepGraph, channels chosen per group.

    PYTHONPATH=. python benchmarks/convnet.py --data ../shared/data    # this machine, when it is idle: about 25 min
    PYTHONPATH=. python benchmarks/convnet.py --data ../shared/data --target emulated-pi
    PYTHONPATH=. python benchmarks/convnet.py --data ../shared/data --model resnet56 --speed-ups 2.1 2.6
    PYTHONPATH=. python benchmarks/convnet.py --data ../shared/data --quick            # DepGraph and groups, 1.5 times

ResNet-20 (or 56) on CIFAR-10 (JPEGs). Every network is exported to ONNX Runtime and timed whole on the board; of each
method the slowest one that keeps within the dense median over 1.5 (2.1, 2.6) is trained on as many examples and judged:

- low rank: JACTUS, the exact allocator, trained with the dense network as teacher;
- DepGraph: Torch-Pruning's own recipe (`channels.py`), its groups ranked together or pruned alike, with its own
  fine-tuning (SGD, cross-entropy); ranked together also with the dense network as teacher: with its answers, as its
  features are narrower than the teacher's;
- ranks and channels: a rank for each layer or a number of channels for each independent group of them, by the exact
  allocator on measured time and true loss, as `deploy --set compression.channels=true` has it choose; trained as
  `deploy` does it with recovery.distill=kd+features+network, recovery.augment=shift+mirror, recovery.rate=5e-3; so is
  low rank;
- groups: the same without ranks.

DepGraph takes a padding shortcut for an elementwise one and couples the wrong channels, so
it is given the same network with 1 x 1 convolutions there. Where no network of a method is fast enough, its fastest is
trained, and marked. What was timed or trained is kept in the cache folder.
"""

import argparse
import copy
import inspect
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from record import Figure, write
from rich.console import Console
from rich.table import Table

from benchmarks import channels
from benchmarks.models import resnet
from benchmarks.models.data import VARIABLE, load_arrays
from benchmarks.own_board import own_board
from toolkit.augmentation import parse_augmentation
from toolkit.cache import cache_folder, cached, digest
from toolkit.choice import DENSE, all_dense
from toolkit.compression import (
    CostTable,
    GainCurve,
    Limits,
    allocate_exact,
    channel_groups,
    compact_layers,
    compress,
)
from toolkit.compression.knapsack import least
from toolkit.devices import hold
from toolkit.distillation import augment_for, kd, recover
from toolkit.models import split_head
from toolkit.profiling.program_key import program_key
from toolkit.profiling.steady import time_steadily
from toolkit.profiling.time_programs import Timeable, model_timing
from toolkit.progress import Silent
from toolkit.recipe import parse_recipe
from toolkit.request import Request
from toolkit.runtimes.bundle import inference_graph, serving_tensors
from toolkit.sources import code_digest
from toolkit.stages import Watch, load, probe, profile
from toolkit.stages.channels import with_channels
from toolkit.stages.learn import plain_costs
from toolkit.stages.load import Job
from toolkit.stages.probe import Board
from toolkit.stages.worth import Worth, weigh
from toolkit.targets import Target
from toolkit.tasks import Examples

import torch  # isort: skip  # toolkit is imported before torch: it sets how OpenMP waits
import torch.nn.functional as F  # isort: skip
from torch import nn  # isort: skip

_SEED = 7
_TRIES = 6  # halvings of the way from the fastest network to the dense one
_BATCH = 64
_TEMPERATURE, _TASK_WEIGHT = 2.0, 0.3  # as `recover` weighs its losses
# As a user of `deploy` would give them: recovery.distill, .augment, .rate. Chosen on other images.
_RECIPE, _AUGMENTATION, _RATE = parse_recipe("kd+features+network"), parse_augmentation("shift+mirror"), 5e-3


# Name -> which networks, and whether they learn from the dense one.
_METHODS = {
    "low rank": ("low rank", True),
    "DepGraph": ("DepGraph", False),
    "DepGraph, taught": ("DepGraph", True),
    "DepGraph, all alike": ("DepGraph, all alike", False),
    "groups": ("groups", True),
    "ranks and channels": ("ranks and channels", True),
}


@dataclass(frozen=True)
class Scale:
    """How much is trained and judged on, at which speed-ups, of which methods."""

    examples: int
    epochs: int
    tests: int
    speed_ups: tuple[float, ...]
    methods: tuple[str, ...]


_FULL = Scale(5000, 4, 10_000, (1.5, 2.1, 2.6), tuple(_METHODS))
_QUICK = Scale(640, 1, 1000, (1.5,), ("DepGraph", "groups"))
_UNTRAINED_TESTS = 1000


@dataclass(frozen=True)
class Candidate:
    """A network before training; `within` if it keeps the budget.

    `recovered` if it is to be trained as `deploy` does it: it is then a backbone and the dense head.
    """

    network: nn.Module
    median_ms: float
    within: bool
    recovered: bool = False


def main() -> None:
    """Measure and train what is missing, print the table, write results/convnet-<target>.json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder of the CIFAR-10 images and the network's weights")
    parser.add_argument("--target", default="host")
    parser.add_argument("--quick", action="store_true", help="DepGraph and groups at 1.5 times, little training")
    parser.add_argument("--model", choices=("resnet20", "resnet56"), default="resnet20")
    parser.add_argument("--speed-ups", type=float, nargs="+", help="instead of 1.5, 2.1 and 2.6 (1.5 with --quick)")
    arguments = parser.parse_args()
    if arguments.data:
        os.environ[VARIABLE] = arguments.data
    quick, started = arguments.quick, time.monotonic()
    scale = _QUICK if quick else _FULL
    if arguments.speed_ups:
        scale = replace(scale, speed_ups=tuple(arguments.speed_ups))
    with own_board(arguments.target) as target:
        _forget_disturbed(target)
        rows = list(_rows(target, scale, arguments.model))
    _print(rows, arguments.model, target)
    figures = _figures(rows, target, scale, "quick_" if quick else "")
    name = f"convnet-{'' if arguments.model == 'resnet20' else arguments.model + '-'}{arguments.target}" + (
        "-quick" if quick else ""
    )
    write(name, figures, rows, seeds=[_SEED], started=started)


def _rows(target: Target, scale: Scale, model: str) -> Iterator[dict[str, Any]]:
    watch = Watch(Silent())
    named = f"benchmarks.models.resnet:{model}", "benchmarks.models.resnet:task"
    job = load(Request(*named, channels=False, depth=False, precision="fp32"), target, watch)
    dense = {"resnet20": resnet.resnet20, "resnet56": resnet.resnet56}[model]()
    with hold(target) as home:
        board = probe(home, target, job, watch)
        dense_ms = _time(board, job, [dense])[0]
        budgets = {speed_up: dense_ms / speed_up for speed_up in scale.speed_ups}
        wanted = list(budgets.values())
        finders = {
            "low rank": lambda: _by_layers(board, job, wanted, watch),
            "groups": lambda: _by_layers(board, _with_groups(job), wanted, watch, ranks=False),
            "ranks and channels": lambda: _by_layers(board, _with_groups(job), wanted, watch),
            "DepGraph": lambda: _depgraph(board, job, dense, wanted, ranked_together=True),
            "DepGraph, all alike": lambda: _depgraph(board, job, dense, wanted, ranked_together=False),
        }
        found = {name: find() for name, find in finders.items() if name in scale.methods}
    test = _drawn("test", scale.tests)
    few = test[:_UNTRAINED_TESTS]
    yield {"method": "dense", "median_ms": dense_ms, "speed_up": 1.0, "accuracy": _accuracy(dense, test)}
    for place, speed_up in enumerate(budgets):
        for method in scale.methods:
            networks, distilled = _METHODS[method]
            candidate = found[networks][place]
            row = {
                "method": method,
                "wanted": speed_up,
                "within": candidate.within,
                "median_ms": candidate.median_ms,
                "speed_up": dense_ms / candidate.median_ms,
                "parameters": sum(value.numel() for value in candidate.network.parameters()),
                "widths": _widths(candidate.network),
                "untrained": _accuracy(candidate.network, few),
                "accuracy": _trained(candidate, dense if distilled else None, job, scale, test),
            }
            print(row, flush=True)
            yield row


def _with_groups(job: Job) -> Job:
    return replace(job, groups=channel_groups(job.network.backbone, job.example)[0])


def _by_layers(board: Board, job: Job, budgets: list[float], watch: Watch, *, ranks: bool = True) -> list[Candidate]:
    """Allocations by the exact allocator on the profile of this board, untrained."""
    costs = plain_costs(profile(board, job, watch))
    head = job.network.head
    assert head is not None
    smaller = {name: tuple(choice for choice in row if choice != DENSE) for name, row in costs.parts.items()}
    if ranks:
        worth = weigh(job, {name: smaller[name] for name in job.layers}, "jactus", _SEED, watch)
    else:
        dense = {name: {DENSE: row[DENSE]} for name, row in costs.parts.items() if name in job.layers}
        costs = replace(costs, parts={**costs.parts, **dense})
        worth = Worth({}, {name: GainCurve(name, {}, 0.0) for name in job.layers})
    worth = with_channels(job, worth, {name: smaller[name] for name in job.groups}, _SEED, watch)

    def make(limit_ms: float) -> nn.Module:
        found = allocate_exact(worth.gains, costs, Limits(latency_ms=limit_ms)).selection
        return nn.Sequential(compress(job.network.backbone, worth.parts, found), head)

    return [_slowest_within(board, job, budget, costs, make, recovered=True) for budget in budgets]


def _depgraph(
    board: Board, job: Job, dense: resnet.ResNet, budgets: list[float], *, ranked_together: bool
) -> list[Candidate]:
    """The largest of the recipe's networks within each budget, by bisection."""
    network = resnet.with_convolved_shortcuts(dense)
    steps = channels.depgraph_steps(network, network.linear, *job.example, ranked_together=ranked_together)
    chosen = []
    for budget in budgets:
        low, high = 0, len(steps) - 1  # the last one is the fastest
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if _time(board, job, [steps[middle]])[0] <= budget else (middle + 1, high)
        taken = _time(board, job, [steps[high]])[0]
        chosen.append(Candidate(steps[high], taken, taken <= budget))
    return chosen


def _slowest_within(
    board: Board,
    job: Job,
    budget_ms: float,
    costs: CostTable,
    make: Callable[[float], nn.Module],
    *,
    recovered: bool = False,
) -> Candidate:
    """Of the networks that an allocator makes under a planned median, the slowest that truly keeps the budget."""
    fastest = least("latency_ms", costs, Limits())
    assert fastest is not None
    low, high = costs.latency_ms(fastest), costs.latency_ms(all_dense(costs.parts))
    network = make(low * (1 + 1e-9) if low > 0 else low)
    taken = _time(board, job, [network])[0]
    best = Candidate(network, taken, taken <= budget_ms, recovered)
    if not best.within:
        return best
    for _ in range(_TRIES):
        middle = (low + high) / 2
        network = make(middle)
        taken = _time(board, job, [network])[0]
        if taken > budget_ms:
            high = middle
            continue
        low = middle
        if taken > best.median_ms:
            best = Candidate(network, taken, True, recovered)
    return best


def _time(board: Board, job: Job, networks: list[nn.Module]) -> list[float]:
    """Median of each whole network on the board, ms; those of the same operations and shapes are timed once."""
    kept = _kept(board.target.name)
    times: dict[str, dict[str, Any]] = json.loads(kept.read_text()) if kept.exists() else {}
    programs: dict[str, Timeable] = {}
    keys = []
    for network in networks:
        split = split_head(network.eval().requires_grad_(False), job.example)
        head = split.head
        assert head is not None
        graph, holes = inference_graph(split.backbone, head, job.example)
        keys.append(program_key(graph))
        if keys[-1] not in times and keys[-1] not in programs:
            shapes = {name: tuple(value.shape) for name, value in serving_tensors(split.backbone, head).items()}
            programs[keys[-1]] = Timeable(job.runtime.export(graph, holes), job.example, shapes)
    if programs:
        target = board.target
        found = time_steadily(
            board.agent,
            job.runtime,
            target.threads,
            target.family.clock,
            programs,
            model_timing(target.family.clock),
            on_note=print,
        )
        times |= {key: {"median_ms": row.median_ms, "flags": row.flags} for key, row in found.rows.items()}
        kept.write_text(json.dumps(times))
    return [times[key]["median_ms"] for key in keys]


def _trained(candidate: Candidate, teacher: nn.Module | None, job: Job, scale: Scale, test: Examples) -> float:
    """Accuracy after training; kept, as it takes minutes."""

    def train(folder: Path) -> None:
        examples, network = _drawn("train", scale.examples), copy.deepcopy(candidate.network)
        if candidate.recovered:
            backbone, dense = network.get_submodule("0"), job.network
            assert dense.head is not None
            steps = scale.epochs * (len(examples) // _BATCH)
            for layer in compact_layers(backbone).values():
                layer.core.requires_grad_(True)
            for part in _narrowed(backbone, dense.backbone):
                part.requires_grad_(True)
            recover(
                backbone,
                dense.backbone,
                dense.head,
                examples,
                recipe=_RECIPE,
                augment=augment_for(_AUGMENTATION, examples.x),
                steps=steps,
                learning_rate=_RATE,
                seed=_SEED,
                on_progress=_silent,
            )
            network = nn.Sequential(backbone, dense.head)
        else:
            _fine_tune(network, teacher, examples, scale.epochs)
        (folder / "accuracy.json").write_text(json.dumps(_accuracy(network, test)), encoding="utf-8")

    state = [value.contiguous().numpy().tobytes() for value in candidate.network.state_dict().values()]
    how = [teacher is None, (scale.examples, scale.epochs, scale.tests, _SEED)]
    if candidate.recovered:
        code = code_digest("toolkit.compression", "toolkit.distillation")
        how += [code, str(_RECIPE), _AUGMENTATION, _RATE]
    else:
        how += [
            code_digest("toolkit.distillation.losses"),
            inspect.getsource(_fine_tune),
            inspect.getsource(_augmented),
        ]
    folder, _ = cached("benchmarks/convnet", digest(*state, *how), train)
    return float(json.loads((folder / "accuracy.json").read_text(encoding="utf-8")))


def _narrowed(backbone: nn.Module, dense: nn.Module) -> list[nn.Module]:
    """Modules that have fewer channels than they have in the dense one."""
    before = {name: [value.shape for value in each.parameters(recurse=False)] for name, each in dense.named_modules()}
    return [
        each
        for name, each in backbone.named_modules()
        if (now := [value.shape for value in each.parameters(recurse=False)]) and now != before.get(name, now)
    ]


def _fine_tune(network: nn.Module, teacher: nn.Module | None, examples: Examples, epochs: int) -> None:
    """The library's recipe: SGD, a tenth of the rate after 60 % and 80 %, crops and flips; with a teacher, our loss."""
    generator = torch.Generator().manual_seed(_SEED)
    network.requires_grad_(True).train().to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    steps = epochs * (len(examples) // _BATCH)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [int(0.6 * steps), int(0.8 * steps)])
    for _ in range(epochs):
        for index in torch.randperm(len(examples), generator=generator).split(_BATCH):
            if len(index) < _BATCH:
                continue
            x, y = _augmented(examples.x.tensors["x"][index], generator), examples.y[index]
            logits = network(x)
            loss = F.cross_entropy(logits, y)
            if teacher is not None:
                with torch.no_grad():
                    taught = teacher(x)
                loss = kd(logits, taught, _TEMPERATURE) + _TASK_WEIGHT * loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    network.eval().requires_grad_(False)


def _augmented(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Random crops of images padded by four pixels, half of them mirrored."""
    down, right = torch.randint(0, 9, (2,), generator=generator).tolist()
    shifted = F.pad(x, (4, 4, 4, 4))[:, :, down : down + x.shape[2], right : right + x.shape[3]]
    mirrored = torch.rand(len(x), generator=generator) < 0.5
    return torch.where(mirrored[:, None, None, None], shifted.flip(3), shifted)


def _drawn(part: str, count: int) -> Examples:
    """As many random images of the `train` or the `test` files: they are sorted by class."""
    arrays = load_arrays("cifar10_jpeg.npz")
    labels = arrays[f"{part}_labels"].astype(np.int64)
    index = np.random.default_rng(_SEED).permutation(len(labels))[:count]
    images = resnet.normalise(arrays[f"{part}_images"][index])
    return Examples(torch.from_numpy(images), torch.from_numpy(labels[index]))


@torch.no_grad()
def _accuracy(network: nn.Module, examples: Examples) -> float:
    right = sum(
        int((network(*x).argmax(1) == y).sum())
        for x, y in zip(examples.x.split(250), examples.y.split(250), strict=True)
    )
    return right / len(examples)


def _widths(network: nn.Module) -> dict[str, list[int]]:
    """Inputs and outputs of every convolution."""
    convolutions = {name: layer for name, layer in network.named_modules() if isinstance(layer, nn.Conv2d)}
    return {name: [layer.in_channels, layer.out_channels] for name, layer in convolutions.items()}


def _kept(target: str) -> Path:
    folder = cache_folder() / "benchmarks"
    folder.mkdir(exist_ok=True)
    return folder / f"convnet-times-{target}.json"


def _forget_disturbed(target: Target) -> None:
    """What was flagged the last time is timed again."""
    kept = _kept(target.name)
    if kept.exists():
        times = json.loads(kept.read_text())
        kept.write_text(json.dumps({key: row for key, row in times.items() if not row["flags"]}))


def _silent(done: int, of: int) -> None:
    """Progress that nobody watches."""


def _figures(rows: list[dict[str, Any]], target: Target, scale: Scale, prefix: str) -> dict[str, Figure]:
    """Of each method: the speed-up that it reaches, and its accuracy against the library's better recipe."""
    how = f"{scale.epochs} epochs of {scale.examples} images, {scale.tests} test images, {target.name}"
    of = {(row["method"], row.get("wanted")): row for row in rows}
    theirs = [method for method in scale.methods if method in ("DepGraph", "DepGraph, all alike")]
    figures = {}
    for wanted in scale.speed_ups:
        best = max((of[method, wanted] for method in theirs), key=lambda row: row["accuracy"])
        for method in scale.methods:
            row = of[method, wanted]
            name = f"{prefix}{wanted}x, {method}"
            reached = Figure(row["speed_up"], f">= {wanted}", row["within"], f"measured, whole network, {target.name}")
            figures[f"{name}: speed-up"] = reached
            if method not in theirs:
                gained = row["accuracy"] - best["accuracy"]
                said = f"{row['accuracy']:.2%} at {row['speed_up']:.2f}x against {best['accuracy']:.2%} at "
                said += f"{best['speed_up']:.2f}x ({best['method']}); {how}"
                ours = Figure(gained, ">= 0, and as fast", gained >= 0 and row["within"], said)
                figures[f"{name}: accuracy over DepGraph"] = ours
    return figures


def _print(rows: list[dict[str, Any]], model: str, target: Target) -> None:
    table = Table(title=f"{model} on CIFAR-10, {target.name}")
    for column in ("method", "wanted", "median", "speed-up", "parameters", "untrained", "trained"):
        table.add_column(column, justify="right")
    for row in rows:
        if row["method"] == "dense":
            table.add_row("dense", "", f"{row['median_ms']:.3f} ms", "1.00", "", "", f"{row['accuracy']:.2%}")
            continue
        reached = f"{row['speed_up']:.2f}" + ("" if row["within"] else " (its fastest)")
        trained = f"{row['untrained']:.2%}", f"{row['accuracy']:.2%}"
        cells = f"{row['wanted']}", f"{row['median_ms']:.3f} ms", reached, f"{row['parameters']:,}"
        table.add_row(row["method"], *cells, *trained)
    Console().print(table)


if __name__ == "__main__":
    main()
