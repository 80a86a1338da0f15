"""What each part of the method brings: bases, metric, allocator, and training that keeps cores nested.

    PYTHONPATH=. python benchmarks/ablations.py --data ../shared/data    # two models, three seeds
    PYTHONPATH=. python benchmarks/ablations.py --quick                  # one seed of the digits at 30 %

No board: a budget is a share of the parameters of the compressible layers, and ranks are multiples of 8. Accuracy is on
held-out examples of the classes that the model was pretrained on, before and after the same few steps of recovery.

- *Bases*: JACTUS approximates inside the union of what weight, inputs and gradients single out; here also inside what
  one of them does alone, in the same metric. A side that a variant says nothing of is not restricted.
- *Curves*: what orders components instead of the task's metric (`--curve` of `deploy`).
- *Allocators*: greedy, as in the paper, against exact.
- *Nested*: one core trained on random prefixes at 50 %, cut to 30 and 20 %, against one trained without prefixes and
  cut, and against cores trained at that size; every layer at the same share.

What was computed before is not computed again: delete `benchmarks/ablations` in the cache folder to start anew.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import torch
from record import Figure, write
from rich.console import Console
from rich.table import Table
from torch import nn

from benchmarks.models.data import VARIABLE
from toolkit.adaptation import features_of
from toolkit.cache import cache_folder, code_digest, digest
from toolkit.compression import (
    ALLOCATORS,
    CURVES,
    CalibrationSet,
    Cost,
    CostTable,
    Labelled,
    LayerStatistics,
    Limits,
    Spectrum,
    best_approximations,
    calibrate,
    compact_layers,
    components_of,
    compress,
    compressible_layers,
    gain_curve,
    jactus_spectrum,
    made_by,
    matrix,
    prefixes,
    random_prefixes,
)
from toolkit.compression.damping import damped
from toolkit.compression.subspaces import singular_subspaces, top_eigenvectors
from toolkit.distillation import recover
from toolkit.models import load_model, split_head
from toolkit.profiling.candidates import candidate_ranks
from toolkit.tasks import Examples, load_task

# Model, task, steps of recovery.
MODELS = {
    "digits ViT": ("toolkit.examples.digits:model", "toolkit.examples.digits:task", 40),
    "ResNet-20": ("benchmarks.models.resnet:resnet20", "benchmarks.models.resnet:task", 20),
}
_SHARES, _NESTED_SHARES, _MULTIPLE = (0.5, 0.3, 0.2), (0.3, 0.2), 8
_CALIBRATION, _JUDGED, _JITTER = 256, 1000, 0.25

Ranks = dict[str, int | None]


def main() -> None:
    """Compute what is missing, print the tables, write results/ablations.json (or ablations-quick.json)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder of CIFAR-10 and the ResNet's weights")
    parser.add_argument("--quick", action="store_true", help="one seed of the digits at 30 %%")
    arguments = parser.parse_args()
    if arguments.data:
        os.environ[VARIABLE] = arguments.data
    started = time.monotonic()
    seeds = [60] if arguments.quick else [60, 61, 62]
    names = list(MODELS)[:1] if arguments.quick else list(MODELS)
    shares = (0.3,) if arguments.quick else _SHARES
    rows: list[dict[str, Any]] = []
    for name in names:
        for seed in seeds:
            subject = Subject(name, seed)
            rows += _rows(subject, shares)
            rows += _nested_rows(subject, tuple(share for share in _NESTED_SHARES if share in shares))
            Console().print(f"{name}, seed {seed}: {time.monotonic() - started:.0f} s")
    prefix = "quick_" if arguments.quick else ""
    figures = {f"{prefix}{key}": figure for name in names for key, figure in _figures(name, rows, len(seeds)).items()}
    _print(rows)
    write("ablations-quick" if arguments.quick else "ablations", figures, rows, seeds=seeds, started=started)


@dataclass(frozen=True)
class Subject:
    """One model and the data that one seed draws for it."""

    name: str
    seed: int

    @cached_property
    def task(self) -> Any:
        """The task."""
        return load_task(MODELS[self.name][1], shots=5, seed=self.seed)

    @cached_property
    def network(self) -> Any:
        """Backbone and head."""
        return split_head(load_model(MODELS[self.name][0]), self.task.support.x[:1])

    @cached_property
    def general(self) -> Examples:
        """What to calibrate and recover on."""
        drawn = torch.randperm(len(self.task.general), generator=torch.Generator().manual_seed(self.seed))
        return Examples(self.task.general.x[drawn], self.task.general.y[drawn])

    @cached_property
    def data(self) -> CalibrationSet:
        """The first of them, twice: as a task that is the domain itself."""
        part = Labelled(Examples(self.general.x[:_CALIBRATION], self.general.y[:_CALIBRATION]), self.network.head)
        return CalibrationSet(part, part)

    @cached_property
    def layers(self) -> Any:
        """Those to make compact."""
        return compressible_layers(self.network.backbone, self.task.support.x[:1])

    @cached_property
    def statistics(self) -> dict[str, LayerStatistics]:
        """Covariances of every layer."""
        return calibrate(self.network.backbone, self.layers, [(x, head) for x, head in self.data.batches()])

    @torch.no_grad()
    def accuracy(self, backbone: nn.Module) -> float:
        """On held-out examples of the general classes."""
        held_out = self.task.general_query
        logits = self.network.head(features_of(backbone, held_out.x[:_JUDGED]))
        return float((logits.argmax(1) == held_out.y[:_JUDGED]).float().mean())

    def train(self, backbone: nn.Module, nested: bool = False) -> None:
        """The same few steps for all."""
        recover(
            backbone,
            self.network.backbone,
            self.network.head,
            self.general,
            steps=MODELS[self.name][2],
            jitter=_JITTER,
            seed=self.seed,
            on_progress=lambda *_: None,
            narrowed=partial(random_prefixes, backbone) if nested else lambda _: prefixes(backbone, {}),
        )


def _union(weight: torch.Tensor, seen: LayerStatistics, k: int) -> Spectrum:
    return jactus_spectrum(weight, seen, k)


def _weight_only(weight: torch.Tensor, seen: LayerStatistics, k: int) -> Spectrum:
    u, v = singular_subspaces(weight, k)
    return best_approximations(weight, damped(seen.sigma_g), damped(seen.sigma_x), k, u=u, v=v)


def _input_only(weight: torch.Tensor, seen: LayerStatistics, k: int) -> Spectrum:
    sigma_x = damped(seen.sigma_x)
    return best_approximations(weight, damped(seen.sigma_g), sigma_x, k, v=top_eigenvectors(sigma_x, k))


def _gradient_only(weight: torch.Tensor, seen: LayerStatistics, k: int) -> Spectrum:
    sigma_g = damped(seen.sigma_g)
    return best_approximations(weight, sigma_g, damped(seen.sigma_x), k, u=top_eigenvectors(sigma_g, k))


BASES: dict[str, Callable[[torch.Tensor, LayerStatistics, int], Spectrum]] = {
    "union": _union,
    "weight": _weight_only,
    "input": _input_only,
    "gradient": _gradient_only,
}


def _spectra(subject: Subject, variant: str) -> dict[str, Spectrum]:
    if variant in CURVES:
        return CURVES[variant](subject.network.backbone, subject.layers, subject.data, subject.seed)
    return {
        name: BASES[variant](matrix(layer), subject.statistics[name], components_of(layer))
        for name, layer in subject.layers.items()
    }


def _rows(subject: Subject, shares: tuple[float, ...]) -> Iterator[dict[str, Any]]:
    """Bases and curves under the exact allocator, the union under the greedy one too."""
    cases = [(variant, "exact") for variant in (*BASES, "activation", "magnitude", "random", "dual")]
    for variant, allocator in [*cases, ("union", "greedy")]:
        missing = [share for share in shares if _kept(subject, variant, allocator, share) is None]
        spectra = _spectra(subject, variant) if missing else {}
        for share in missing:
            ranks, taken = _allocated(subject, spectra, allocator, share)
            backbone = compress(subject.network.backbone, spectra, ranks)
            row: dict[str, Any] = {"share_of_parameters": taken, "before": subject.accuracy(backbone), "after": None}
            if variant in BASES:  # curves but for the task's own metric are compared before recovery alone
                subject.train(backbone)
                row["after"] = subject.accuracy(backbone)
            _keep(row, subject, variant, allocator, share)
        for share in shares:
            found = _kept(subject, variant, allocator, share)
            assert found is not None
            yield {"model": subject.name, "seed": subject.seed, "variant": variant, "allocator": allocator} | {
                "share": share,
                **found,
            }


def _allocated(subject: Subject, spectra: dict[str, Spectrum], allocator: str, share: float) -> tuple[Ranks, float]:
    ranks = {name: candidate_ranks(layer, _MULTIPLE) for name, layer in subject.layers.items()}
    gains = {
        name: gain_curve(name, matrix(layer), spectra[name], ranks[name]) for name, layer in subject.layers.items()
    }
    costs = {
        name: {
            rank: Cost(0.0, 4 * (layer.weight.numel() if rank is None else rank * sum(matrix(layer).shape)))
            for rank in (None, *ranks[name])
        }
        for name, layer in subject.layers.items()
    }
    dense = sum(row[None].weight_bytes for row in costs.values())
    found = ALLOCATORS[allocator](gains, CostTable(costs, 0.0, 0), Limits(size_bytes=int(share * dense)))
    return found.ranks, found.size_bytes / dense


def _nested_rows(subject: Subject, shares: tuple[float, ...]) -> Iterator[dict[str, Any]]:
    """One core for all sizes, trained with and without prefixes, and one for each."""
    case = ("nested", "same share")
    if any(_kept(subject, *case, share) is None for share in shares):
        spectra = _spectra(subject, "union")
        wide = compress(subject.network.backbone, spectra, _same_share(subject, _SHARES[0]))
        plain = compress(subject.network.backbone, spectra, _same_share(subject, _SHARES[0]))
        subject.train(wide, nested=True)
        subject.train(plain)
        for share in shares:
            ranks = _same_share(subject, share)
            separate = compress(subject.network.backbone, spectra, ranks)
            subject.train(separate)
            cut = {name: rank for name, rank in ranks.items() if rank is not None}
            row = {"separate": subject.accuracy(separate)}
            for key, model in (("nested", wide), ("cut", plain)):
                with prefixes(model, {name: min(cut[name], each.rank) for name, each in compact_layers(model).items()}):
                    row[key] = subject.accuracy(model)
            _keep(row, subject, *case, share)
    for share in shares:
        found = _kept(subject, *case, share)
        assert found is not None
        yield {"model": subject.name, "seed": subject.seed, "variant": "nested", "share": share, **found}


def _same_share(subject: Subject, share: float) -> Ranks:
    """That share of every layer's weights; all compact, down to rank 1."""
    return {
        name: max(1, int(share * layer.weight.numel() / sum(matrix(layer).shape)))
        for name, layer in subject.layers.items()
    }


def _figures(name: str, rows: list[dict[str, Any]], seeds: int) -> dict[str, Figure]:
    """Differences of means over all shares and seeds, in points of accuracy."""

    def mean(key: str, variant: str, allocator: str | None = "exact") -> float:
        return 100 * statistics.fmean(
            row[key]
            for row in rows
            if (row["model"], row["variant"], row.get("allocator")) == (name, variant, allocator)
        )

    shares = sorted({row["share"] for row in rows if row["variant"] == "union"})
    how = f"points, mean of {seeds} seed(s) and of {', '.join(f'{share:.0%}' for share in shares)} of the parameters"
    figures = {}
    for when in ("before", "after"):
        for other in ("weight", "input", "gradient"):
            gained = mean(when, "union") - mean(when, other)
            figures[f"{name}: union over {other} bases {when} recovery"] = Figure(gained, ">= 0", gained >= 0, how)
        exact = mean(when, "union") - mean(when, "union", "greedy")
        figures[f"{name}: exact over greedy {when} recovery"] = Figure(exact, ">= 0", exact >= 0, how)
    for other in ("activation", "magnitude", "random", "dual"):
        gained = mean("before", "union") - mean("before", other)
        figures[f"{name}: jactus over {other} before recovery"] = Figure(gained, "> 0", gained > 0, how)
    nested = f"points at {' and '.join(f'{share:.0%}' for share in _NESTED_SHARES if share in shares)}, {seeds} seed(s)"
    over_cut = mean("nested", "nested", None) - mean("cut", "nested", None)
    lost = mean("separate", "nested", None) - mean("nested", "nested", None)
    return figures | {
        f"{name}: nested over cut": Figure(over_cut, "> 0", over_cut > 0, nested),
        f"{name}: separate over nested": Figure(lost, "<= 2", lost <= 2, nested),
    }


def _print(rows: list[dict[str, Any]]) -> None:
    table = Table(title="Accuracy before / after recovery, mean of seeds")
    shares = sorted({row["share"] for row in rows}, reverse=True)
    for column in ("model", "variant", "allocator", *(f"{share:.0%}" for share in shares)):
        table.add_column(column)
    for model, variant, allocator in dict.fromkeys((r["model"], r["variant"], r.get("allocator", "")) for r in rows):
        cells = []
        for share in shares:
            here = [
                row
                for row in rows
                if (row["model"], row["variant"], row.get("allocator", "")) == (model, variant, allocator)
                and row["share"] == share
            ]
            keys = ("nested", "cut", "separate") if variant == "nested" else ("before", "after")
            means = [statistics.fmean(row[key] for row in here) for key in keys if here and here[0][key] is not None]
            cells.append(" / ".join(f"{value:.1%}" for value in means))
        table.add_row(model, variant + (" / cut / separate" if variant == "nested" else ""), allocator, *cells)
    Console().print(table)


def _file(subject: Subject, variant: str, allocator: str, share: float) -> Any:
    folder = cache_folder() / "benchmarks" / "ablations"
    folder.mkdir(parents=True, exist_ok=True)
    curve = variant if variant in CURVES else "jactus"
    code = code_digest(*made_by(curve), recover, random_prefixes)
    setting = (MODELS[subject.name], _CALIBRATION, _JUDGED, _JITTER, _MULTIPLE)
    return folder / f"{digest(subject.name, subject.seed, variant, allocator, share, setting, code)[:24]}.json"


def _kept(subject: Subject, variant: str, allocator: str, share: float) -> dict[str, Any] | None:
    file = _file(subject, variant, allocator, share)
    return json.loads(file.read_text()) if file.exists() else None


def _keep(row: dict[str, Any], subject: Subject, variant: str, allocator: str, share: float) -> None:
    file = _file(subject, variant, allocator, share)
    file.with_suffix(".part").write_text(json.dumps(row))
    file.with_suffix(".part").rename(file)


if __name__ == "__main__":
    main()
