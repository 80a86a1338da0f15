"""Stage 5: put the allocation into the model and train what is compact with the dense model as teacher."""

from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load_model, save_model
from torch import nn

from toolkit import compression
from toolkit.adaptation import task_head
from toolkit.cache import cached, code_digest, digest
from toolkit.compression import (
    RankedChannels,
    build_compact,
    made_by,
    make_bases_orthonormal,
    remove_channels,
)
from toolkit.distillation import augment_for, estimate_statistics, fit, kd, recover, terms_of, weighing_of
from toolkit.request import Request
from toolkit.stages.allocate import Planned
from toolkit.stages.load import Job
from toolkit.stages.watch import Watch


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
            *(kd, terms_of, weighing_of, fit, recover, augment_for, estimate_statistics),
        )
        key = digest(
            job.key,
            planned.allocation.ranks,
            orders,
            request.curve,
            request.recovery_steps,
            str(request.distill),
            request.augment,
            request.recovery_rate,
            request.seed,
            code,
        )

        def train(folder: Path) -> None:
            general = job.task.general
            examples = general or job.task.support
            recover(
                backbone,
                job.network.backbone,
                job.general_logits if general else job.dense_head,
                examples,
                recipe=request.distill,
                augment=augment_for(request.augment, examples.x),
                steps=request.recovery_steps,
                learning_rate=request.recovery_rate,
                seed=request.seed,
                on_progress=watch.progress.advance,
            )
            if request.distill.trained != "cores":
                make_bases_orthonormal(backbone)
            # Bases too: a basis from another machine's linear algebra may differ in sign.
            save_model(backbone, str(folder / "compact.safetensors"))

        folder, watch.was_cached = cached("compact", key, train)
        load_model(backbone, folder / "compact.safetensors")
        backbone.requires_grad_(False)
        return Compacted(backbone.eval(), task_head(job.start, job.network, backbone, job.task), key)
