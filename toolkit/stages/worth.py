"""Find what each layer's components are worth: calibrate, estimate gain curves, correct them by the true loss."""

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import nn

from toolkit.adaptation import features_of
from toolkit.cache import digest
from toolkit.choice import Choice
from toolkit.compression import (
    CalibrationSet,
    GainCurve,
    Labelled,
    RankedChannels,
    ResidualBlock,
    Spectra,
    Spectrum,
    corrected_gains,
    gain_curve,
    matrix,
    measure_losses,
)
from toolkit.distillation import ENOUGH, estimate_statistics
from toolkit.inputs import Inputs
from toolkit.kept import Kept, keep, open_kept
from toolkit.rerun import Known
from toolkit.sources import code_digest
from toolkit.stages.effort import loss_examples, ranks_worth_a_loss, rows_of
from toolkit.stages.load import Job
from toolkit.stages.spectra import draw_spectra
from toolkit.stages.statistics import as_trained
from toolkit.stages.watch import Watch

_LEAST_EXAMPLES, _MOST_EXAMPLES = 512, 2048
# A covariance of n inputs is told by several times n rows: MiniLM at 60 % of its parameters lost 1.9 points of accuracy
# when it was calibrated on 1.6 rows an input, 0.4 on 6.5.
_ROWS_PER_INPUT = 8
_TEMPERATURE = 1.0

Logits = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Worth:
    """Components of every layer, channels of every group and residual blocks, and what each choice of them gains."""

    spectra: dict[str, Spectrum]
    gains: dict[str, GainCurve]
    channels: dict[str, RankedChannels] = field(default_factory=dict)
    blocks: Mapping[str, ResidualBlock] = field(default_factory=dict)

    @property
    def parts(self) -> Spectra:
        """All of them: what a choice keeps the first so many of, or leaves out."""
        return {**self.spectra, **self.channels, **self.blocks}


def weigh(job: Job, choices: dict[str, tuple[Choice, ...]], curve: str, seed: int, watch: Watch) -> Worth:
    """Spectra by the curve of that name, and gains of every layer under its `choices`.

    Spectra are kept for the next time, and losses one by one. Raises BadInput if the task lacks what the curve is drawn
    from.
    """
    spectra, drawn_before = draw_spectra(job, curve, calibration(job, seed), seed)
    measured = ranks_worth_a_loss(job, choices)
    packages = "toolkit.compression", "toolkit.distillation", "toolkit.adaptation.heads"
    code = code_digest(
        *packages, "toolkit.stages.effort", "toolkit.stages.spectra", "toolkit.stages.statistics", __name__
    )
    losses, known_before = recall_losses(
        open_kept("true-loss", digest(job.key, curve, seed, code)), job, spectra, measured, seed, watch
    )
    watch.was_cached = watch.was_cached and drawn_before and known_before
    gains = {}
    for name, layer in job.layers.items():
        estimated = gain_curve(name, matrix(layer), spectra[name], choices[name])
        gains[name] = corrected_gains(estimated, losses[name]) if losses[name] else estimated
    return Worth(spectra, gains)


def recall_losses(
    kept: Kept, job: Job, parts: Spectra, choices: dict[str, tuple[Choice, ...]], seed: int, watch: Watch
) -> tuple[dict[str, dict[Choice, float]], bool]:
    """True losses of those `parts` alone, by name and choice, and whether all were known; each is kept when found."""
    missing = sum(_label(name, choice) not in kept.known for name, of_name in choices.items() for choice in of_name)
    if missing:
        watch.progress.note(f"measuring the true loss of single choices: {missing} to go")
    losses = measure_losses(
        job.network.backbone,
        parts,
        choices,
        true_loss(job, seed) if missing else _not_asked,
        watch.progress.advance,
        lambda name, choice, measure: keep(kept, _label(name, choice), measure),
    )
    return losses, not missing


def _label(name: str, choice: Choice) -> str:
    return f"{name}: {choice}"


def _not_asked(backbone: nn.Module) -> float:
    raise AssertionError("all losses are known")


def true_loss(job: Job, seed: int, *, cut: bool = True) -> Callable[[nn.Module], float]:
    """Backbone -> how far its predictions are from the dense one's, in nats an example (knowledge distillation).

    Batch normalisation of what was `cut` is put into the state that recovery would begin with: without that, channels
    that are easily done without look dear (EagleEye, Li et al. 2020).
    """
    x, logits = _loss_examples(job, seed)
    taught = logits(features_of(job.network.backbone, x))

    def lost(features: torch.Tensor) -> float:
        return float(job.objective.divergence(logits(features), taught, _TEMPERATURE).mean())

    dense = copy.deepcopy(job.network.backbone)
    as_judged = Known(dense, len(x))
    if cut:
        examples = (job.task.general or job.task.support).x
        drawn = examples[_drawn(len(examples), ENOUGH, seed)]
        # Once, for all that are weighed: where images vary, that takes as long as a small network's pass.
        seen = as_trained(job, drawn) if len(drawn) >= ENOUGH else drawn
        as_seen = Known(dense, len(seen))
        estimate_statistics(dense, seen, as_seen.record)
    features_of(dense, x, as_judged.record)

    @torch.no_grad()
    def loss(backbone: nn.Module) -> float:
        if cut:
            estimate_statistics(backbone, seen, as_seen.call)
        return lost(features_of(backbone, x, as_judged.call))

    return loss


def calibration(job: Job, seed: int) -> CalibrationSet:
    """What the model was pretrained for (if given), and the task."""
    general = job.task.general
    if general is not None:
        drawn = _drawn(len(general), _calibration_examples(job), seed)
        general = general[drawn]
    return CalibrationSet(
        Labelled(job.task.support, job.dense_head),
        None if general is None else Labelled(general, job.general_logits),
        job.objective,
    )


def _calibration_examples(job: Job) -> int:
    """So many that the layer which sees fewest rows for its width sees enough."""
    rows = rows_of(job)
    needed = max(math.ceil(_ROWS_PER_INPUT * matrix(job.layers[name]).shape[1] / of) for name, of in rows.items())
    return min(max(needed, _LEAST_EXAMPLES), _MOST_EXAMPLES)


def _loss_examples(job: Job, seed: int) -> tuple[Inputs, Logits]:
    general = job.task.general
    examples, logits = (job.task.support, job.dense_head) if general is None else (general, job.general_logits)
    drawn = _drawn(len(examples), loss_examples(job), seed)
    return examples.x[drawn], logits


def _drawn(examples: int, at_most: int, seed: int) -> torch.Tensor:
    return torch.randperm(examples, generator=torch.Generator().manual_seed(seed))[:at_most]
