"""Stage 4, where channels may go: what those of each group are worth beside the components of layers."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from toolkit.cache import cached, digest
from toolkit.choice import Choice
from toolkit.compression import (
    GainCurve,
    RankedChannels,
    rank_channels,
)
from toolkit.kept import open_kept
from toolkit.sources import code_digest
from toolkit.stages.effort import counts_worth_a_loss
from toolkit.stages.load import Job
from toolkit.stages.watch import Watch
from toolkit.stages.worth import Worth, calibration, recall_losses

_BATCH = 64
# Nats: less is no loss.
_LEAST = 1e-9


def with_channels(job: Job, worth: Worth, counts: dict[str, tuple[Choice, ...]], seed: int, watch: Watch) -> Worth:
    """`worth` with the channels of every group in order, and what keeping each of `counts` of them alone gains.

    A gain is what cutting to the fewest costs, less what cutting to that many does: true losses, in nats as those of
    layers, measured of some numbers (`counts_worth_a_loss`) and drawn from these of those in between. Orders are kept
    for the next time, and losses one by one.
    """
    if not counts:
        return worth
    packages = "toolkit.compression", "toolkit.distillation", "toolkit.adaptation.heads"
    code = code_digest(
        *packages, "toolkit.stages.effort", "toolkit.stages.worth", "toolkit.stages.statistics", __name__
    )

    key = digest(job.key, job.groups, seed, code)

    def order(folder: Path) -> None:
        ranked = rank_channels(job.network.backbone, job.groups, job.example, _losses(job, seed))
        orders = {name: each.order for name, each in ranked.items()}
        (folder / "orders.json").write_text(json.dumps(orders), encoding="utf-8")

    folder, ordered_before = cached("channels", key, order)
    orders = json.loads((folder / "orders.json").read_text(encoding="utf-8"))
    channels = {name: RankedChannels(job.groups[name], tuple(orders[name])) for name in counts}
    measured = counts_worth_a_loss(job, counts)
    losses, known_before = recall_losses(open_kept("true-loss", key), job, dict(channels), measured, seed, watch)
    watch.was_cached = watch.was_cached and ordered_before and known_before
    gains = dict(worth.gains)
    for name, of_group in losses.items():
        drawn = _between(of_group, counts[name])
        worst = max(drawn.values())
        gains[name] = GainCurve(name, {choice: worst - loss for choice, loss in drawn.items()}, worst)
    return replace(worth, channels=channels, gains=gains)


def _between(measured: dict[Choice, float], counts: tuple[Choice, ...]) -> dict[Choice, float]:
    """Losses of all those counts, nats; between two that were measured each channel changes a loss by the same factor.

    Cutting more never costs less: what seems to is noise.
    """
    known = sorted(measured, reverse=True)
    sizes = [choice.size or 0 for choice in known]
    logarithms = np.maximum.accumulate(np.log(np.maximum([measured[choice] for choice in known], _LEAST)))
    asked = [choice.size or 0 for choice in counts]
    found = np.exp(np.interp(asked, sizes[::-1], logarithms[::-1]))
    return dict(zip(counts, map(float, found), strict=True))


def _losses(job: Job, seed: int) -> Callable[[nn.Module], Iterator[torch.Tensor]]:
    """The task's loss on what gain curves are drawn from: distillation has no gradient where student is teacher."""
    data = calibration(job, seed)

    def losses(backbone: nn.Module) -> Iterator[torch.Tensor]:
        for part in (data.general, data.task):
            if part is not None:
                for x, y in zip(part.examples.x.split(_BATCH), part.examples.y.split(_BATCH), strict=True):
                    yield job.objective.loss(part.head(backbone(*x)), y).mean()

    return losses
