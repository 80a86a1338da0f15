"""What each part of the method brings: bases, metric, allocator, what recovery learns from, and nested training.

    PYTHONPATH=. python benchmarks/ablations.py --data ../shared/data    # two models, three seeds
    PYTHONPATH=. python benchmarks/ablations.py --quick                  # digits at 30 %, one seed, some variants

No board: a budget is a share of the parameters of the compressible layers, and ranks are multiples of 8. Accuracy is on
held-out examples of the classes that the model was pretrained on, before and after the same few steps of recovery by
the same recipe (`kd`, cores alone) wherever recipes are not what is compared.

- *Bases*: JACTUS approximates inside the union of what weight, inputs and gradients single out; here also inside what
  one of them does alone, in the same metric. A side that a variant says nothing of is not restricted.
- *Curves*: what orders components instead of the task's metric (the setting `compression.curve`).
- *Allocators*: greedy, as in the paper, against exact.
- *Recipes* (ResNet-20): what the compact model learns from, and whether its cores or all its factors learn, at 30 %.
- *Nested* (ResNet-20): one model for 50, 30 and 20 %, trained on prefixes that the exact allocator cuts for any,
  against one trained at 50 % and cut, and against one trained for each; all by `kd+features+factors`.

What was computed before is not computed again: delete `benchmarks/ablations` in the cache folder to start anew.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from record import Figure, write
from rich.console import Console
from rich.table import Table
from torch import nn

from benchmarks.models.data import VARIABLE
from toolkit.adaptation import features_of
from toolkit.cache import cache_folder, digest
from toolkit.choice import DENSE, Selection
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
    components_of,
    compress,
    compressible_layers,
    gain_curve,
    jactus_spectrum,
    matrix,
    prefixes,
)
from toolkit.compression.damping import damped
from toolkit.compression.policy import compress_nested
from toolkit.compression.subspaces import singular_subspaces, top_eigenvectors
from toolkit.distillation import augment_for, estimate_statistics, recover
from toolkit.model_name import NamedModel
from toolkit.models import split_head
from toolkit.origins import load_model
from toolkit.profiling.candidates import layer_choices
from toolkit.recipe import Recipe, parse_recipe
from toolkit.sources import code_digest
from toolkit.tasks import Examples, load_task

# Model, task, steps of recovery.
MODELS = {
    "digits ViT": ("toolkit.examples.digits:model", "toolkit.examples.digits:task", 40),
    "ResNet-20": ("benchmarks.models.resnet:resnet20", "benchmarks.models.resnet:task", 20),
}
_SHARES, _RECIPES_AT, _MULTIPLE = (0.5, 0.3, 0.2), 0.3, 8
_CURVES = ("activation", "magnitude", "random", "dual")
# What cores learn from, and the same with all factors.
_LOSSES = ("task", "kd", "kd+gradient", "kd+beta", "kd+gradient+beta", "kd+features", "kd+features+beta")
_RECIPES = (*_LOSSES, "kd+factors", "kd+features+factors", "kd+features+beta+factors", "kd+features+network")
_LONGER = 3  # times the steps, for recipes and nested models: factors are more to learn
_BASELINE, _NESTED = parse_recipe("kd"), parse_recipe("kd+features+factors")
_CALIBRATION, _JUDGED, _STATISTICS = 256, 1000, 512


def main() -> None:
    """Compute what is missing, print the tables, write results/ablations.json (or ablations-quick.json)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder of CIFAR-10 and the ResNet's weights")
    parser.add_argument("--quick", action="store_true", help="one seed of the digits at 30 %%, some variants")
    arguments = parser.parse_args()
    if arguments.data:
        os.environ[VARIABLE] = arguments.data
    started = time.monotonic()
    seeds = [60] if arguments.quick else [60, 61, 62]
    names = list(MODELS)[:1] if arguments.quick else list(MODELS)
    parts = {name: _SOME if arguments.quick else _PARTS[name] for name in names}
    rows: list[dict[str, Any]] = []
    for name in names:
        for seed in seeds:
            subject = Subject(name, seed)
            rows += _rows(subject, parts[name])
            rows += [_recipe_row(subject, recipe) for recipe in parts[name].recipes]
            rows += _nested_rows(subject) if parts[name].nested else []
            Console().print(f"{name}, seed {seed}: {time.monotonic() - started:.0f} s")
    prefix = "quick_" if arguments.quick else ""
    found = [_figures(name, rows, parts[name], len(seeds)) for name in names]
    figures = {f"{prefix}{key}": figure for each in found for key, figure in each.items()}
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
        return split_head(load_model(NamedModel(MODELS[self.name][0])), self.task.support.x[:1])

    @cached_property
    def general(self) -> Examples:
        """What to calibrate and recover on."""
        drawn = torch.randperm(len(self.task.general), generator=torch.Generator().manual_seed(self.seed))
        return self.task.general[drawn]

    @cached_property
    def data(self) -> CalibrationSet:
        """The first of them, twice: as a task that is the domain itself."""
        part = Labelled(self.general[:_CALIBRATION], self.network.head)
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
        """On held-out examples of the general classes, batch normalisation estimated for what it is now."""
        estimate_statistics(backbone, self.general.x[:_STATISTICS])
        held_out = self.task.general_query
        logits = self.network.head(features_of(backbone, held_out.x[:_JUDGED]))
        return float((logits.argmax(1) == held_out.y[:_JUDGED]).float().mean())

    def train(
        self,
        backbone: nn.Module,
        recipe: Recipe = _BASELINE,
        times: int = 1,
        among: Sequence[dict[str, int]] = ({},),
    ) -> None:
        """The same few steps for all, each cut to one of the prefixes `among` which to choose."""

        def narrowed(generator: torch.Generator) -> AbstractContextManager[None]:
            return prefixes(backbone, among[int(torch.randint(len(among), (), generator=generator))])

        recover(
            backbone,
            self.network.backbone,
            self.network.head,
            self.general,
            recipe=recipe,
            steps=times * MODELS[self.name][2],
            augment=augment_for(None, self.general.x),
            seed=self.seed,
            on_progress=lambda *_: None,
            narrowed=narrowed,
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


@dataclass(frozen=True)
class Parts:
    """What is compared."""

    shares: tuple[float, ...]
    bases: tuple[str, ...]
    curves: tuple[str, ...]
    recipes: tuple[str, ...]
    nested: bool


# The digits lose nothing that a recipe could bring back.
_PARTS = {
    "digits ViT": Parts(_SHARES, tuple(BASES), _CURVES, (), nested=False),
    "ResNet-20": Parts(_SHARES, tuple(BASES), _CURVES, _RECIPES, nested=True),
}
_SOME = Parts((0.3,), ("union",), ("magnitude",), ("kd", "kd+features+factors"), nested=False)


def _rows(subject: Subject, parts: Parts) -> Iterator[dict[str, Any]]:
    """Bases and curves under the exact allocator, the union under the greedy one too."""
    shares = parts.shares
    cases = [(variant, "exact") for variant in (*parts.bases, *parts.curves)]
    for variant, allocator in [*cases, ("union", "greedy")]:
        missing = [share for share in shares if _kept(subject, variant, allocator, share) is None]
        spectra = _spectra(subject, variant) if missing else {}
        for share in missing:
            selection, taken = _allocated(subject, spectra, allocator, share)
            backbone = compress(subject.network.backbone, spectra, selection)
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


def _allocated(subject: Subject, spectra: dict[str, Spectrum], allocator: str, share: float) -> tuple[Selection, float]:
    choices = {name: layer_choices(layer, _MULTIPLE) for name, layer in subject.layers.items()}
    gains = {
        name: gain_curve(name, matrix(layer), spectra[name], choices[name]) for name, layer in subject.layers.items()
    }
    costs = {
        name: {
            each: Cost(0.0, 4 * (layer.weight.numel() if each.size is None else each.size * sum(matrix(layer).shape)))
            for each in choices[name]
        }
        for name, layer in subject.layers.items()
    }
    dense = sum(row[DENSE].weight_bytes for row in costs.values())
    found = ALLOCATORS[allocator](gains, CostTable(costs, 0.0, 0), Limits(size_bytes=int(share * dense)))
    return found.selection, found.size_bytes / dense


def _recipe_row(subject: Subject, recipe: str) -> dict[str, Any]:
    """The union at one share, recovered by that recipe."""
    case = (recipe, "exact", _RECIPES_AT)
    if _kept(subject, *case) is None:
        spectra = _spectra(subject, "union")
        selection, taken = _allocated(subject, spectra, "exact", _RECIPES_AT)
        backbone = compress(subject.network.backbone, spectra, selection)
        subject.train(backbone, parse_recipe(recipe), _LONGER)
        _keep({"share_of_parameters": taken, "after": subject.accuracy(backbone)}, subject, *case)
    found = _kept(subject, *case)
    assert found is not None
    return {"model": subject.name, "seed": subject.seed, "recipe": recipe, "share": _RECIPES_AT, **found}


def _nested_rows(subject: Subject) -> Iterator[dict[str, Any]]:
    """One model for all sizes, one for the largest that is cut to the others, and one for each size."""
    case = ("nested", "exact")
    if any(_kept(subject, *case, share) is None for share in _SHARES):
        spectra = _spectra(subject, "union")
        # The largest rank; dense where there is none.
        most = Selection({name: layer_choices(layer, _MULTIPLE)[-1] for name, layer in subject.layers.items()})
        cuts = {share: _prefixes_at(subject, spectra, share, most) for share in _SHARES}
        trained = {
            "nested": list(cuts.values()),
            "cut": [cuts[_SHARES[0]]],
            **{f"separate {share}": [cut] for share, cut in cuts.items()},
        }
        models = {}
        for key, among in trained.items():
            models[key] = compress_nested(subject.network.backbone, spectra, most)
            subject.train(models[key], _NESTED, _LONGER, among)
        for share, cut in cuts.items():
            row = {}
            for key, name in (("nested", "nested"), ("cut", "cut"), ("separate", f"separate {share}")):
                with prefixes(models[name], cut):
                    row[key] = subject.accuracy(models[name])
            _keep(row, subject, *case, share)
    for share in _SHARES:
        found = _kept(subject, *case, share)
        assert found is not None
        yield {"model": subject.name, "seed": subject.seed, "variant": "nested", "share": share, **found}


def _prefixes_at(subject: Subject, spectra: dict[str, Spectrum], share: float, most: Selection) -> dict[str, int]:
    """The exact allocator's ranks; what it leaves dense has all of its components."""
    selection, _ = _allocated(subject, spectra, "exact", share)
    return {name: selection[name].size or whole.size for name, whole in most.items() if whole.size is not None}


def _figures(name: str, rows: list[dict[str, Any]], parts: Parts, seeds: int) -> dict[str, Figure]:
    """Differences of means over all shares and seeds, in points of accuracy."""

    def mean(key: str, variant: str, allocator: str | None = "exact") -> float:
        return _mean(rows, key, model=name, variant=variant, allocator=allocator)

    how = f"points, mean of {seeds} seed(s) and of {_percents(parts.shares)} of the parameters"
    figures = {}
    for when in ("before", "after"):
        for other in parts.bases[1:]:
            gained = mean(when, "union") - mean(when, other)
            figures[f"{name}: union over {other} bases {when} recovery"] = Figure(gained, ">= 0", gained >= 0, how)
        exact = mean(when, "union") - mean(when, "union", "greedy")
        figures[f"{name}: exact over greedy {when} recovery"] = Figure(exact, ">= 0", exact >= 0, how)
    for other in parts.curves:
        gained = mean("before", "union") - mean("before", other)
        figures[f"{name}: jactus over {other} before recovery"] = Figure(gained, "> 0", gained > 0, how)
    how = f"points at {_RECIPES_AT:.0%} of the parameters, mean of {seeds} seed(s), {_LONGER} times the steps"
    for recipe in parts.recipes:
        if recipe != "kd":
            ours, baseline = (_mean(rows, "after", model=name, recipe=each) for each in (recipe, "kd"))
            gained = ours - baseline
            figures[f"{name}: {recipe} over kd"] = Figure(gained, "> 0", gained > 0, how)
    if parts.nested:
        how = f"points, mean of {seeds} seed(s) and of {_percents(_SHARES)} of the parameters"
        over_cut = mean("nested", "nested", None) - mean("cut", "nested", None)
        lost = mean("separate", "nested", None) - mean("nested", "nested", None)
        figures[f"{name}: nested over cut"] = Figure(over_cut, "> 0", over_cut > 0, how)
        figures[f"{name}: separate over nested"] = Figure(lost, "<= 2", lost <= 2, how)
    return figures


def _mean(rows: list[dict[str, Any]], key: str, **wanted: str | None) -> float:
    """In per cent, of the rows that hold what is wanted."""
    return 100 * statistics.fmean(
        row[key] for row in rows if all(row.get(name) == value for name, value in wanted.items())
    )


def _percents(shares: tuple[float, ...]) -> str:
    return ", ".join(f"{share:.0%}" for share in shares)


def _print(rows: list[dict[str, Any]]) -> None:
    table = Table(title="Accuracy before / after recovery, mean of seeds")
    shares = sorted({row["share"] for row in rows}, reverse=True)
    for column in ("model", "variant", "allocator", *(f"{share:.0%}" for share in shares)):
        table.add_column(column)
    kinds = ("model", "variant", "recipe", "allocator")
    for kind in dict.fromkeys(tuple(row.get(each, "") for each in kinds) for row in rows):
        cells = []
        for share in shares:
            here = [row for row in rows if (*(row.get(each, "") for each in kinds), row["share"]) == (*kind, share)]
            keys = [key for key in ("nested", "cut", "separate", "before", "after") if here and here[0].get(key)]
            cells.append(" / ".join(f"{statistics.fmean(row[key] for row in here):.1%}" for key in keys))
        model, variant, recipe, allocator = kind
        said = f"recovered by {recipe}" if recipe else variant + (" / cut / separate" if variant == "nested" else "")
        table.add_row(model, said, allocator, *cells)
    Console().print(table)


def _file(subject: Subject, variant: str, allocator: str, share: float) -> Any:
    folder = cache_folder() / "benchmarks" / "ablations"
    folder.mkdir(parents=True, exist_ok=True)
    code = code_digest("toolkit.compression", "toolkit.distillation")
    setting = (MODELS[subject.name], _LONGER, _CALIBRATION, _JUDGED, _STATISTICS, _MULTIPLE)
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
