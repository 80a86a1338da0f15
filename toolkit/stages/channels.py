"""Stage 4, with compression.channels: what the channels of each group are worth beside the components of layers."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from toolkit.cache import cached, digest
from toolkit.compression import (
    GainCurve,
    RankedChannels,
    measure_losses,
    rank_channels,
)
from toolkit.sources import code_digest
from toolkit.stages.load import Job
from toolkit.stages.watch import Watch
from toolkit.stages.worth import Worth, calibration, true_loss

_BATCH = 64


def with_channels(job: Job, worth: Worth, counts: dict[str, tuple[int, ...]], seed: int, watch: Watch) -> Worth:
    """`worth` with the channels of every group in order, and what keeping each of `counts` of them alone gains.

    A gain is what cutting to the fewest costs, less what cutting to that many does: true losses, in nats as those of
    layers. Orders and losses are kept for the next time.
    """
    if not counts:
        return worth
    packages = "toolkit.compression", "toolkit.distillation", "toolkit.adaptation.heads"
    code = code_digest(*packages, "toolkit.stages.worth", __name__)

    def measure(folder: Path) -> None:
        watch.progress.note(f"measuring the true loss of {sum(map(len, counts.values()))} single cuts of channels")
        ranked = rank_channels(job.network.backbone, job.groups, job.example, _losses(job, seed))
        losses = measure_losses(job.network.backbone, ranked, counts, true_loss(job, seed), watch.progress.advance)
        kept = {name: {"order": ranked[name].order, "losses": losses[name]} for name in counts}
        (folder / "channels.json").write_text(json.dumps(kept), encoding="utf-8")

    folder, _ = cached("channels", digest(job.key, job.groups, counts, seed, code), measure)
    found = json.loads((folder / "channels.json").read_text(encoding="utf-8"))
    channels, gains = {}, dict(worth.gains)
    for name, each in found.items():
        channels[name] = RankedChannels(job.groups[name], tuple(each["order"]))
        losses = {int(kept): loss for kept, loss in each["losses"].items()}
        worst = max(losses.values())
        gains[name] = GainCurve(name, {kept: worst - loss for kept, loss in losses.items()}, worst)
    return replace(worth, channels=channels, gains=gains)


def _losses(job: Job, seed: int) -> Callable[[nn.Module], Iterator[torch.Tensor]]:
    """Cross-entropy on what gain curves are drawn from: distillation has no gradient where student is teacher."""
    data = calibration(job, seed)

    def losses(backbone: nn.Module) -> Iterator[torch.Tensor]:
        for part in (data.general, data.task):
            if part is not None:
                for x, y in zip(part.examples.x.split(_BATCH), part.examples.y.split(_BATCH), strict=True):
                    yield F.cross_entropy(part.head(backbone(x)), y)

    return losses
