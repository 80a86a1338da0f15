"""A new speaker: does a keyword network at 30 % of its parameters learn a voice that it has never heard?

    PYTHONPATH=. python benchmarks/speaker.py --data ../shared/data    # three speakers, three seeds: 40 min of one core
    PYTHONPATH=. python benchmarks/speaker.py --quick                  # one speaker, one seed, JACTUS and uniform

The depthwise-separable CNN of benchmarks/models/speech.py is trained without one speaker of the Free Spoken Digit
Dataset, calibrated, compressed and recovered on the other five, and then learns the held-out one from five examples a
digit, as a board does: the bundle's exported train step moves cores and head, and is kept only if held-out examples
gain. Judged on all other recordings of that speaker, without any example (the pretrained head), with the head that the
release is installed with (made of the examples), and adapted:

- the curve of JACTUS, or that of the layers' outputs alone ("activation"), corrected by the true loss, and the exact
  allocator;
- the truncated SVD of the weight, allocated by one threshold on its energy ("magnitude") or one ratio ("uniform");
- the dense network: as it is, with its head trained in the same way, and with all its weights trained likewise.

Parameters are those of the compressible layers; a compact layer counts its bases and its core. Finished cells are kept
in the cache folder.
"""

import argparse
import inspect
import json
import os
import statistics
import tempfile
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any

from record import Figure, write
from rich.console import Console
from rich.table import Table
from scipy.stats import t as student_t

from benchmarks.models import speech
from benchmarks.models.data import VARIABLE
from edge_runtime.learning import JITTER, LEARNING_RATE
from edge_runtime.tensors import read_arrays, write_arrays
from toolkit.adaptation import features_of, head_start, task_head
from toolkit.adaptation.heads import HeadStart
from toolkit.cache import cached, digest
from toolkit.choice import DENSE, Choice, all_dense
from toolkit.compression import (
    ALLOCATORS,
    CURVES,
    CalibrationSet,
    Cost,
    CostTable,
    Labelled,
    Limits,
    choices_to_measure,
    compress,
    compressible_layers,
    corrected_gains,
    gain_curve,
    matrix,
    measure_losses,
)
from toolkit.compression.layers import Dense
from toolkit.devices.agent.adapt import adapt
from toolkit.devices.agent.infer import infer
from toolkit.distillation import augment_for, kd, recover
from toolkit.inputs import inputs_of
from toolkit.models import Network, split_head
from toolkit.objectives import Classification
from toolkit.profiling.candidates import layer_choices
from toolkit.recipe import DEFAULT_RECIPE
from toolkit.runtimes import RUNTIMES
from toolkit.runtimes.arithmetic import Quantisation
from toolkit.runtimes.bundle import export_inference, write_bundle
from toolkit.sources import code_digest
from toolkit.stages.learning import export_learning
from toolkit.tasks import Examples, Task

import torch  # isort: skip  # toolkit is imported before torch: it sets how OpenMP waits
from torch import nn  # isort: skip

_SPEAKERS, _SEEDS = speech.SPEAKERS[:3], (60, 61, 62)
_SHARE, _SHOTS = 0.30, 5
_RANK_MULTIPLE = 4
_CALIBRATION, _LOSS_EXAMPLES = 512, 256
_RECOVERY_STEPS, _ADAPT_STEPS = 150, 40
_RECIPE = DEFAULT_RECIPE
_RATE_OF_ALL = 3e-4  # at 3e-3 a network whose every weight moves is destroyed


# Name -> curve and allocator. Where the allocator is the exact one, gains are corrected by the true loss.
METHODS = {
    "jactus": ("jactus", "exact"),
    "activation": ("activation", "exact"),
    "magnitude": ("magnitude", "magnitude"),
    "uniform": ("magnitude", "uniform"),
}


def main() -> None:
    """Run what is missing, print the table, write results/speaker.json (or speaker-quick.json)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder of the spoken digits")
    parser.add_argument("--quick", action="store_true", help="one speaker, one seed, JACTUS and uniform")
    arguments = parser.parse_args()
    if arguments.data:
        os.environ[VARIABLE] = arguments.data
    quick, started = arguments.quick, time.monotonic()
    speakers, seeds = (_SPEAKERS[:1], _SEEDS[:1]) if quick else (_SPEAKERS, _SEEDS)
    methods = ("jactus", "uniform") if quick else tuple(METHODS)
    rows = [row for speaker in speakers for method in ("dense", *methods) for row in _rows(speaker, method, seeds)]
    _print(rows)
    figures = _figures(rows, "quick_" if quick else "")
    write("speaker-quick" if quick else "speaker", figures, rows, seeds=list(seeds), started=started)


def _rows(speaker: str, method: str, seeds: tuple[int, ...]) -> list[dict[str, Any]]:
    """One a seed, which draws the examples of the new speaker."""
    model = speech.model(lambda done, of: print(f"training without {speaker}: {done} of {of}"), speaker=speaker)
    network = split_head(model, speech.task(speaker=speaker).support.x[:1])
    backbone, about = (network.backbone, {}) if method == "dense" else _compact(network, speaker, *METHODS[method])
    known = speech.task(speaker=speaker).general_query
    assert known is not None
    assert network.head is not None
    about |= {"known_speakers": _accuracy(network.head, features_of(backbone, known.x), known)}
    rows = []
    for seed in seeds:
        row = {
            "speaker": speaker,
            "method": method,
            "seed": seed,
            **about,
            **_learned(network, backbone, speaker, seed),
        }
        print(row, flush=True)
        rows.append(row)
    return rows


def _compact(network: Network, speaker: str, curve: str, allocator: str) -> tuple[nn.Module, dict[str, Any]]:
    """The backbone within the share of the parameters, its cores trained on the known speakers."""
    general = speech.task(speaker=speaker).general
    assert general is not None
    assert network.head is not None
    head = network.head
    drawn = torch.randperm(len(general), generator=torch.Generator().manual_seed(0))[:_CALIBRATION]
    layers = compressible_layers(network.backbone, general.x[:1])
    calibration = general[drawn]
    spectra = CURVES[curve](network.backbone, layers, CalibrationSet(Labelled(calibration, head)), 0)
    costs = parameters(layers)
    smaller = {name: tuple(choice for choice in row if choice != DENSE) for name, row in costs.parts.items()}
    gains = {name: gain_curve(name, matrix(layers[name]), spectra[name], smaller[name]) for name in layers}
    if allocator == "exact":
        x = calibration.x[:_LOSS_EXAMPLES]
        taught = head(features_of(network.backbone, x)).detach()

        def loss(backbone: nn.Module) -> float:
            return float(kd(head(features_of(backbone, x)), taught, 1.0))

        asked = {name: choices_to_measure(choices) for name, choices in smaller.items()}
        losses = measure_losses(network.backbone, spectra, asked, loss, _silent)
        gains = {name: corrected_gains(curve, losses[name]) for name, curve in gains.items()}
    dense = costs.size_bytes(all_dense(layers))
    found = ALLOCATORS[allocator](gains, costs, Limits(size_bytes=int(_SHARE * dense)))
    backbone = compress(network.backbone, spectra, found.selection)
    code = code_digest("toolkit.compression", "toolkit.distillation", "toolkit.adaptation.heads")
    key = digest(_weights(backbone), found.selection.key, _RECOVERY_STEPS, str(_RECIPE), code)

    def train(folder: Path) -> None:
        varied, steps = augment_for(None, general.x), _RECOVERY_STEPS
        settings = {"recipe": _RECIPE, "augment": varied, "seed": 0, "on_progress": _silent}
        recover(backbone, network.backbone, head, general, steps=steps, **settings)
        torch.save(backbone.state_dict(), folder / "backbone.pt")

    folder, _ = cached("benchmarks/speaker-compact", key, train)
    backbone.load_state_dict(torch.load(folder / "backbone.pt", weights_only=True))
    ranks = [choice.size for choice in found.selection.values()]
    return backbone.eval(), {"share": found.size_bytes / dense, "ranks": ranks}


def parameters(layers: dict[str, Dense]) -> CostTable:
    """What the choices of each layer take in parameters alone, as bytes of a model that holds nothing else."""
    table: dict[str, dict[Choice, Cost]] = {}
    for name, layer in layers.items():
        m, n = matrix(layer).shape
        table[name] = {
            choice: Cost(0.0, m * n if choice.size is None else choice.size * (m + n + choice.size))
            for choice in layer_choices(layer, _RANK_MULTIPLE)
        }
    return CostTable(table, 0.0, 0)


def _learned(network: Network, backbone: nn.Module, speaker: str, seed: int) -> dict[str, Any]:
    """Accuracy on the new speaker before and after the board's learning; of the dense network also if all may move."""
    dense = backbone is network.backbone
    code = digest(
        code_digest("toolkit.adaptation", "toolkit.devices.agent.adapt", "toolkit.runtimes"),
        inspect.getsource(_learned),
        inspect.getsource(_fine_tuned),
    )
    key = digest(_weights(backbone), speaker, seed, _SHOTS, _ADAPT_STEPS, LEARNING_RATE, JITTER, code)

    def build(folder: Path) -> None:
        task = speech.task(_SHOTS, seed, speaker)
        start = head_start(network, task)
        head = task_head(start, network, backbone, task)
        assert network.head is not None
        own = _accuracy(network.head, features_of(backbone, task.query.x), task.query)
        before, after, said = on_the_board(backbone, head, start, task, seed)
        row = {"start": start, "own_head": own, "installed": before, "adapted": after, "accepted": said["accepted"]}
        if dense:
            row["all_weights_adapted"] = _fine_tuned(backbone, head, task, seed)
        (folder / "row.json").write_text(json.dumps(row), encoding="utf-8")

    folder, _ = cached("benchmarks/speaker", key, build)
    row: dict[str, Any] = json.loads((folder / "row.json").read_text(encoding="utf-8"))
    return row


def on_the_board(
    backbone: nn.Module,
    head: nn.Linear,
    start: HeadStart,
    task: Task,
    seed: int,
    quantisation: Quantisation | None = None,
) -> tuple[float, float, dict[str, Any]]:
    """The agent itself on a bundle as it is deployed, on this machine; one thread. Accuracies before and after."""
    runtime, x = RUNTIMES["onnxruntime"], task.support.x.tensors["x"]
    y = task.support.y
    learning = export_learning(runtime, backbone, head, start, inputs_of(x), y, Classification())
    inference = export_inference(runtime, backbone, head, inputs_of(x[:1]), quantisation)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as beside:
        made = (runtime, "", "", backbone, head, task.classes, inputs_of(x[:1]), inference, learning)
        write_bundle(Path(folder), *made, precision=quantisation.arithmetic.precision if quantisation else "fp32")
        files = {name: str(Path(beside, name)) for name in ("support", "query", "adapted", "logits")}
        write_arrays(files["support"], {**inputs_of(x).arrays("inputs"), "targets.y": y.numpy(), "strata": y.numpy()})
        write_arrays(files["query"], task.query.x.arrays("inputs"))
        spec = {"release": folder, "adapted": files["adapted"], "threads": 1}
        learning = {"support": files["support"], "steps": _ADAPT_STEPS, "lr": LEARNING_RATE, "jitter": {"x": JITTER}}
        said = adapt({**spec, **learning, "seed": seed}, lambda *_, **__: None)
        accuracies = []
        for adapted in (None, files["adapted"]):
            infer({**spec, "adapted": adapted, "inputs": files["query"], "outputs": files["logits"]}, None)
            logits = torch.from_numpy(read_arrays(files["logits"])["outputs.logits"])
            accuracies.append(float((logits.argmax(1) == task.query.y).float().mean()))
    return accuracies[0], accuracies[1], said


def _fine_tuned(backbone: nn.Module, head: nn.Linear, task: Task, seed: int) -> float:
    """Accuracy after as many steps in all weights, which no deployed model could take."""
    whole = nn.Sequential(OrderedDict(backbone=backbone, head=head))
    kept = {name: value.clone() for name, value in whole.state_dict().items()}
    generator, support = torch.Generator().manual_seed(seed), task.support
    optimizer = torch.optim.Adam(whole.requires_grad_(True).eval().parameters(), lr=_RATE_OF_ALL)
    for _ in range(_ADAPT_STEPS):
        [x] = support.x
        x = x + JITTER * x.std() * torch.randn(x.shape, generator=generator)
        loss = nn.functional.cross_entropy(whole(x), support.y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    accuracy = _accuracy(head, features_of(backbone, task.query.x), task.query)
    whole.load_state_dict(kept)
    whole.requires_grad_(False)
    return accuracy


@torch.no_grad()
def _accuracy(head: nn.Linear, features: torch.Tensor, examples: Examples) -> float:
    return float((head(features).argmax(1) == examples.y).float().mean())


def _weights(model: nn.Module) -> str:
    return digest(*(value.contiguous().numpy().tobytes() for value in model.state_dict().values()))


def _silent(done: int, of: int) -> None:
    """Progress that nobody watches."""


def _interval(values: list[float]) -> tuple[float, float]:
    """Mean, and the half-width of its 95 % interval (Student's t); 0 of one value."""
    if len(values) < 2:
        return values[0], 0.0
    error = statistics.stdev(values) / len(values) ** 0.5
    return statistics.fmean(values), float(student_t.ppf(0.975, len(values) - 1)) * error


def _figures(rows: list[dict[str, Any]], prefix: str) -> dict[str, Figure]:
    of = {(row["speaker"], row["seed"], row["method"]): row for row in rows}
    runs = sorted({(row["speaker"], row["seed"]) for row in rows})
    others = [method for method in METHODS if method != "jactus" and any(row["method"] == method for row in rows)]
    speakers = sorted({speaker for speaker, _ in runs})
    known = f"{len(runs)} runs, {len(speakers)} held-out speaker(s); runs of one speaker share a network"

    def column(method: str, key: str) -> list[float]:
        return [of[(*run, method)][key] for run in runs]

    def margin(ours: list[float], theirs: list[float], least: float, goal: str) -> Figure:
        mean, half = _interval([our - their for our, their in zip(ours, theirs, strict=True)])
        return Figure(mean, goal, mean - half > least, f"paired, 95 % interval ± {half:.3f}, {known}")

    share = max(row["share"] for row in rows if row["method"] == "jactus")
    installed, adapted = column("jactus", "installed"), column("jactus", "adapted")
    kept = statistics.fmean(adapted) / statistics.fmean(column("dense", "adapted"))
    figures = {
        f"{prefix}share_of_compressible_parameters": Figure(share, "<= 0.30", share <= _SHARE, "largest of the runs"),
        f"{prefix}adapted_minus_installed": margin(adapted, installed, 0.0, "> 0"),
        f"{prefix}adapted_minus_installed_dense": margin(adapted, column("dense", "installed"), 0.0, "> 0"),
        f"{prefix}share_of_adapted_dense_accuracy": Figure(kept, ">= 0.93", kept >= 0.93, f"ratio of means, {known}"),
    }
    for other in others:
        named = f"{prefix}jactus_minus_{other}"
        figures[f"{named}_adapted"] = margin(adapted, column(other, "adapted"), 0.0, "> 0")
        figures[f"{named}_installed"] = margin(installed, column(other, "installed"), 0.0, "> 0")
    return figures


def _print(rows: list[dict[str, Any]]) -> None:
    table = Table(title="Accuracy on a new speaker, mean and 95 % interval over runs")
    for column in (
        "network",
        "parameters",
        "known speakers",
        "no example",
        "installed",
        "adapted",
        "all weights adapted",
    ):
        table.add_column(column, justify="right")
    for method in dict.fromkeys(row["method"] for row in rows):
        of = [row for row in rows if row["method"] == method]
        share = f"{max(row.get('share', 1.0) for row in of):.1%}"
        cells = []
        for key in ("known_speakers", "own_head", "installed", "adapted", "all_weights_adapted"):
            mean, half = _interval([row[key] for row in of if key in row] or [float("nan")])
            cells.append(f"{mean:.1%} ± {half:.1%}" if mean == mean else "–")
        table.add_row(method, share, *cells)
    Console().print(table)


if __name__ == "__main__":
    main()
