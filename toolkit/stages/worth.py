"""What each layer's components are worth: calibrate, estimate gain curves, correct them by the true loss."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from toolkit.adaptation import features_of
from toolkit.cache import cached, code_digest, digest
from toolkit.compression import (
    GainCurve,
    Spectrum,
    break_even_rank,
    build_compact,
    calibrate,
    corrected_gains,
    gain_curve,
    jactus_spectrum,
    matrix,
    measure_losses,
    ranks_to_measure,
)
from toolkit.distillation import kd
from toolkit.stages.load import Job
from toolkit.stages.watch import Watch

_CALIBRATION_EXAMPLES = 512
# A loss is measured on fewer: three compact models a layer are run on them.
_LOSS_EXAMPLES = 256
_TEMPERATURE = 1.0

Logits = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Worth:
    """Components of every layer, and what they gain at each rank."""

    spectra: dict[str, Spectrum]
    gains: dict[str, GainCurve]


def weigh(job: Job, ranks: dict[str, tuple[int, ...]], seed: int, watch: Watch) -> Worth:
    """Spectra and gain curves of every layer at its candidate `ranks`. Measured losses are kept for the next time."""
    statistics = calibrate(job.network.backbone, job.layers, _calibration(job, seed), seed=seed)
    spectra = {
        name: jactus_spectrum(matrix(layer), statistics[name], max(1, break_even_rank(layer)))
        for name, layer in job.layers.items()
    }
    measured = {name: ranks_to_measure(of_layer) for name, of_layer in ranks.items()}
    code = code_digest(calibrate, jactus_spectrum, build_compact, measure_losses, kd, weigh)

    def measure(folder: Path) -> None:
        watch.progress.note(f"measuring the true loss of {sum(map(len, measured.values()))} single compact layers")
        x, logits = _loss_examples(job, seed)
        taught = logits(features_of(job.network.backbone, x))

        def loss(backbone: nn.Module) -> float:
            return float(kd(logits(features_of(backbone, x)), taught, _TEMPERATURE))

        losses = measure_losses(job.network.backbone, spectra, measured, loss, watch.progress.advance)
        (folder / "losses.json").write_text(json.dumps(losses), encoding="utf-8")

    folder, _ = cached("true-loss", digest(job.key, measured, seed, code), measure)
    losses = json.loads((folder / "losses.json").read_text(encoding="utf-8"))
    gains = {}
    for name, layer in job.layers.items():
        curve = gain_curve(name, matrix(layer), spectra[name], ranks[name])
        of_layer = {int(rank): loss for rank, loss in losses[name].items()}
        gains[name] = corrected_gains(curve, of_layer) if of_layer else curve
    return Worth(spectra, gains)


def _calibration(job: Job, seed: int) -> Iterator[tuple[torch.Tensor, Logits]]:
    """What the model was pretrained for (if given), then the task."""
    if job.task.general is not None:
        for x in job.task.general.x[_drawn(len(job.task.general), _CALIBRATION_EXAMPLES, seed)].split(64):
            yield x, job.general_logits
    for x in job.task.support.x.split(64):
        yield x, job.dense_head


def _loss_examples(job: Job, seed: int) -> tuple[torch.Tensor, Logits]:
    general = job.task.general
    if general is None:
        return job.task.support.x, job.dense_head
    return general.x[_drawn(len(general), _LOSS_EXAMPLES, seed)], job.general_logits


def _drawn(examples: int, at_most: int, seed: int) -> torch.Tensor:
    return torch.randperm(examples, generator=torch.Generator().manual_seed(seed))[:at_most]
