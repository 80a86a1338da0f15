"""Stage 5: put the allocation into the model and train what is compact with the dense model as teacher."""

import copy
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from safetensors.torch import load_model, save_model
from torch import nn

from toolkit import compression
from toolkit.adaptation import task_head
from toolkit.adaptation.heads import HeadStart
from toolkit.cache import cache_folder, cached, digest, forget_untouched
from toolkit.compression import RankedChannels, make_bases_orthonormal
from toolkit.deployment import Judged, Recovery
from toolkit.distillation import Checkpoint, augment_for, recover
from toolkit.models import Reader
from toolkit.request import Request
from toolkit.runtimes.arithmetic import Quantisation
from toolkit.sources import code_digest
from toolkit.stages.accuracy import is_worse, judge, variation
from toolkit.stages.effort import USUAL_EFFORT, recovery_effort, wants_training
from toolkit.stages.load import Job
from toolkit.stages.planned import Planned
from toolkit.stages.quantise import computing_as, lost_in, quantisation_of
from toolkit.stages.statistics import as_trained, is_cut, renew_statistics
from toolkit.stages.variations import usual_variations
from toolkit.stages.watch import Watch

# Features that vary by less than this share of what they did tell nothing apart, whatever accuracy says of a few.
_COLLAPSED = 0.01
# Of every batch, what is the task's support, by the head that it starts with: where a fitted one is better, its inputs
# are of a kind that the general data lack. Where the network's own head is, half a batch of the same few images costs
# accuracy: a ResNet-20 on CIFAR-10 at rank 12 kept 72.8 % after 300 steps, 75.2 % with a tenth, 75.8 % with none.
SUPPORT_SHARE: dict[HeadStart, float] = {"fitted": 0.5, "pretrained": 0.1}
# After so long nobody goes on with a recovery that was interrupted; its checkpoint is as large as the model.
_GIVEN_UP_DAYS = 14


@dataclass(frozen=True)
class Compacted:
    """The compact backbone, and the head it starts the task with. What lost nothing has no recovery.

    `quantisation` says how the backbone leaves fp32 on the board, if it does; here its weights are fp32.
    """

    backbone: nn.Module
    head: Reader
    key: str
    recovery: Recovery | None = None
    quantisation: Quantisation | None = None


def compress(job: Job, planned: Planned, request: Request, watch: Watch) -> Compacted:
    """Train on the task's support, and on the general data if it has any; a finished training is reused.

    What lost channels is trained too, and all is frozen afterwards: the board trains cores and head alone.
    """
    with watch.stage("compress"):
        selection, arithmetics = planned.allocation.selection, planned.profile.precisions.arithmetics
        backbone = compression.compress(job.network.backbone, planned.spectra, selection)
        quantisation = quantisation_of(job, selection, arithmetics)
        key, recovery = _key(job, planned, quantisation, request), None
        if wants_training(job, selection, partial(lost_in, job, arithmetics), request.recovery_steps):
            _tell_of_effort(job, request, watch)
            checkpoint = Checkpoint(cache_folder() / "checkpoints" / f"{key}.pt")

            def train(folder: Path) -> None:
                made = _train(job, planned, backbone, quantisation, request, checkpoint, watch)
                # Bases too: a basis from another machine's linear algebra may differ in sign.
                save_model(backbone, str(folder / "compact.safetensors"))
                (folder / "recovery.json").write_text(made.model_dump_json(), encoding="utf-8")

            folder, watch.was_cached = cached("compact", key, train)
            checkpoint.file.unlink(missing_ok=True)
            forget_untouched("checkpoints", _GIVEN_UP_DAYS)
            load_model(backbone, folder / "compact.safetensors")
            recovery = Recovery.model_validate_json((folder / "recovery.json").read_text(encoding="utf-8"))
            _tell(recovery, watch)
        elif not selection.is_dense:
            watch.note("the network loses nothing that is noticed, and is not trained: --set recovery.steps=N does")
        backbone.requires_grad_(False)
        with computing_as(backbone.eval(), quantisation):
            head = task_head(job.start, job.network, backbone, job.task)
        return Compacted(backbone, head, key, recovery, quantisation)


def _train(
    job: Job,
    planned: Planned,
    backbone: nn.Module,
    quantisation: Quantisation | None,
    request: Request,
    checkpoint: Checkpoint,
    watch: Watch,
) -> Recovery:
    """In place, computing as the board will. What is worse than it was untrained is taken back."""
    if checkpoint.file.exists():
        watch.progress.note("recovery goes on where it was interrupted")
    general = job.task.general
    examples = general or job.task.support
    if is_cut(planned.allocation.selection):
        renew_statistics(job, backbone, examples.x)
    augment = usual_variations(job) if request.augment is None else request.augment
    untrained, effort = copy.deepcopy(backbone.state_dict()), recovery_effort(job, request.recovery_steps)
    with computing_as(backbone, quantisation):
        before, varied = judge(job, backbone), variation(job, backbone)
    recover(
        backbone,
        job.network.backbone,
        job.general_logits if general else job.dense_head,
        examples,
        support=job.task.support if general and request.distill.losses else None,  # labels alone are general
        support_share=SUPPORT_SHARE[job.start],
        recipe=request.distill,
        augment=augment_for(augment, examples.x),
        steps=effort.steps,
        batch=effort.batch,
        learning_rate=request.recovery_rate,
        seed=request.seed,
        on_progress=watch.progress.advance,
        checkpoint=checkpoint,
        seen_as=partial(as_trained, job),
        quantised=quantisation,
        objective=job.objective,
    )
    if request.distill.trained != "cores":
        make_bases_orthonormal(backbone)
    with computing_as(backbone, quantisation):
        pairs = list(zip(before, judge(job, backbone), strict=True))
        collapsed = variation(job, backbone) < _COLLAPSED * varied
    worse = [(was, now) for was, now in pairs if is_worse(now, was)]
    kept = effort.steps > 0 and not worse and not collapsed
    if not kept:
        backbone.load_state_dict(untrained)
    return Recovery(
        steps=effort.steps,
        learning_rate=request.recovery_rate,
        augment=augment,
        judged=tuple(Judged(data=was.data, before=was.accuracy, after=now.accuracy) for was, now in worse or pairs),
        collapsed=collapsed,
        kept=kept,
    )


def _tell_of_effort(job: Job, request: Request, watch: Watch) -> None:
    effort = recovery_effort(job, request.recovery_steps)
    if request.recovery_steps is None and effort != USUAL_EFFORT:
        watch.note(
            f"of a network this large {effort.steps} steps of recovery are done with {effort.batch} examples each, "
            f"not the usual {USUAL_EFFORT.steps} with {USUAL_EFFORT.batch}: --set recovery.steps=N asks for more"
        )


def _tell(recovery: Recovery, watch: Watch) -> None:
    if recovery.collapsed:
        watch.note(
            "recovery made the compact model blind (its features no longer tell the support examples apart), "
            "so the model stays as it was before; a lower recovery.rate (--set) may help"
        )
    elif recovery.steps and not recovery.judged:
        watch.note("nothing could be held out to judge recovery by: give --shots 2 or more, or general data")
    elif recovery.steps and not recovery.kept:
        seen = "; ".join(
            f"{each.before:.1%} before, {each.after:.1%} after, on {each.data}" for each in recovery.judged
        )
        watch.note(
            f"recovery made the compact model worse ({seen}), so the model stays as it was before; "
            "a lower recovery.rate (--set) may help"
        )


def _key(job: Job, planned: Planned, quantisation: Quantisation | None, request: Request) -> str:
    orders = {name: each.order for name, each in planned.spectra.items() if isinstance(each, RankedChannels)}
    packages = "toolkit.compression", "toolkit.distillation", "toolkit.adaptation.heads"
    code = code_digest(
        *packages,
        "toolkit.stages.accuracy",
        "toolkit.stages.effort",
        "toolkit.stages.quantise",
        "toolkit.stages.spectra",
        "toolkit.stages.worth",
        "toolkit.stages.statistics",
        "toolkit.stages.variations",
        __name__,
    )
    return digest(
        job.key,
        planned.allocation.selection.key,
        sorted(map(str, planned.profile.precisions.arithmetics.values())),
        quantisation.ranges if quantisation else "",
        orders,
        request.curve,
        str(recovery_effort(job, request.recovery_steps)),
        str(request.distill),
        request.augment,
        request.recovery_rate,
        request.seed,
        code,
    )
