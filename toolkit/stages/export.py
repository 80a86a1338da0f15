"""Stage 6: the bundle: inference program, those to learn by, tensors, acceptance outputs, manifest."""

from dataclasses import replace
from pathlib import Path

from torch import nn

from toolkit.adaptation.heads import with_room
from toolkit.cache import cached, digest
from toolkit.errors import BadInput
from toolkit.models import Reader
from toolkit.runtimes import Program
from toolkit.runtimes.arithmetic import Quantisation, without_int8
from toolkit.runtimes.bundle import Bundle, export_inference, read_bundle, write_bundle
from toolkit.runtimes.learning import Learning
from toolkit.sources import code_digest
from toolkit.stages.compress import Compacted
from toolkit.stages.effort import learning_steps
from toolkit.stages.guard import guard
from toolkit.stages.jitter import jitter
from toolkit.stages.learning import export_learning
from toolkit.stages.load import Job
from toolkit.stages.probe import Board
from toolkit.stages.quantise import computing_as
from toolkit.stages.watch import Watch

_ACCEPTANCE_EXAMPLES = 8


def export(
    job: Job, board: Board, compact: Compacted, max_forgetting: float, spare_classes: int, watch: Watch
) -> Bundle:
    """Export for the runtime; a bundle that was exported before is reused."""
    with watch.stage("export"):
        version = board.runtime_version
        arch = board.target.family.arch
        code = code_digest(
            "toolkit.runtimes",
            "toolkit.adaptation",
            "toolkit.stages.quantise",
            "toolkit.stages.learning",
            "toolkit.stages.effort",
            "toolkit.stages.jitter",
            "toolkit.stages.guard",
            __name__,
        )
        preprocessing = job.task.preprocessing
        tokenizer = preprocessing.tokenizer.read_bytes() if preprocessing and preprocessing.tokenizer else b""
        made = preprocessing.told() if preprocessing else None
        guarded = guard(job, max_forgetting, watch)
        spare, head = _with_room(job, compact, spare_classes, watch)
        key = digest(compact.key, job.runtime.name, version, arch, made, tokenizer, max_forgetting, spare, code)

        def write(folder: Path) -> None:
            support = job.task.support
            watch.progress.advance(0, 2)
            inference = export_inference(job.runtime, compact.backbone, head, job.example, compact.quantisation)
            watch.progress.advance(1, 2)
            model = compact.backbone, head, job.start
            learning: Learning | None = None
            hindrance: str | None = None
            try:
                learning = export_learning(job.runtime, *model, support.x, support.y, job.objective)
                learning = replace(learning, steps=learning_steps(job, None), jitter=jitter(job), guard=guarded)
            except BadInput as error:
                hindrance = error.what
            watch.progress.advance(2, 2)
            quantisation = compact.quantisation and _leaving(compact.quantisation, inference)
            precision = quantisation.arithmetic.precision if quantisation else "fp32"
            with computing_as(compact.backbone, quantisation):  # what the board's outputs are compared with
                write_bundle(
                    folder,
                    job.runtime,
                    version,
                    arch,
                    compact.backbone,
                    head,
                    job.task.classes,
                    support.x[:_ACCEPTANCE_EXAMPLES],
                    inference,
                    learning,
                    precision,
                    hindrance=hindrance,
                    measure=job.objective.measure,
                    preprocessing=preprocessing,
                    spare_classes=spare,
                )

        folder, watch.was_cached = cached("bundles", key, write)
        bundle = read_bundle(folder)
        if bundle.hindrance:
            watch.note(f"on the board {bundle.hindrance}")
        if bundle.left_in_fp32:
            watch.note_once(without_int8(bundle.left_in_fp32, job.runtime.name))
        return bundle


def _with_room(job: Job, compact: Compacted, spare_classes: int, watch: Watch) -> tuple[int, Reader]:
    """So many rows more for classes that a board may learn, and the head with them; none where it makes no head."""
    if not spare_classes:
        return 0, compact.head
    if job.start != "fitted" or not isinstance(compact.head, nn.Linear):
        watch.note("there is no room for new classes: the network keeps the outputs that it came with")
        return 0, compact.head
    return spare_classes, with_room(compact.head, spare_classes)


def _leaving(quantisation: Quantisation, program: Program) -> Quantisation:
    """As the program computes: what its runtime has no int8 for stays fp32."""
    return replace(quantisation, fp32_layers=quantisation.fp32_layers | frozenset(program.fp32_layers))
