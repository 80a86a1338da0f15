"""Stage 5: put the allocation into the model and train what is compact with the dense model as teacher."""

from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import nn

from toolkit import compression
from toolkit.adaptation import task_head
from toolkit.cache import cached, code_digest, digest
from toolkit.compression import (
    RankedChannels,
    build_compact,
    compact_layers,
    made_by,
    make_bases_orthonormal,
    remove_channels,
)
from toolkit.distillation import fit, kd, recover, terms_of, weighing_of
from toolkit.request import Request
from toolkit.stages.allocate import Planned
from toolkit.stages.load import Job
from toolkit.stages.watch import Watch

_JITTER = 0.25


@dataclass(frozen=True)
class Compacted:
    """The compact backbone with trained cores, and the head it starts the task with."""

    backbone: nn.Module
    head: nn.Linear
    key: str


def compress(job: Job, planned: Planned, request: Request, watch: Watch) -> Compacted:
    """Train on the general data if the task has any, else on its support; a finished training is reused.

    What lost channels is trained too, and all is frozen afterwards: the board trains cores and head alone.
    """
    with watch.stage("compress"):
        backbone = compression.compress(job.network.backbone, planned.spectra, planned.allocation.ranks)
        orders = {name: each.order for name, each in planned.spectra.items() if isinstance(each, RankedChannels)}
        code = code_digest(
            *made_by(request.curve),
            *(build_compact, make_bases_orthonormal, remove_channels),
            *(kd, terms_of, weighing_of, fit, recover),
        )
        key = digest(
            job.key,
            planned.allocation.ranks,
            orders,
            request.curve,
            request.recovery_steps,
            str(request.distill),
            request.seed,
            code,
        )

        def train(folder: Path) -> None:
            general = job.task.general
            recover(
                backbone,
                job.network.backbone,
                job.general_logits if general else job.dense_head,
                general or job.task.support,
                recipe=request.distill,
                steps=request.recovery_steps,
                jitter=_JITTER,
                seed=request.seed,
                on_progress=watch.progress.advance,
            )
            if request.distill.trained == "factors":
                make_bases_orthonormal(backbone)
            # Bases too: a basis from another machine's linear algebra may differ in sign.
            trained = {name: value.detach() for name, value in backbone.named_parameters() if value.requires_grad}
            for name, layer in compact_layers(backbone).items():
                trained |= {f"{name}.{part}": value for part, value in layer.state_dict().items()}
            save_file({name: value.contiguous() for name, value in trained.items()}, folder / "compact.safetensors")

        folder, watch.was_cached = cached("compact", key, train)
        backbone.load_state_dict(load_file(folder / "compact.safetensors"), strict=False)
        backbone.requires_grad_(False)
        return Compacted(backbone.eval(), task_head(job.start, job.network, backbone, job.task), key)
