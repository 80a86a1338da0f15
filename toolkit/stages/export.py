"""Stage 6: the bundle: inference program, train step, tensors, acceptance outputs, manifest."""

from pathlib import Path

from torch import nn

from toolkit.adaptation import trace_train_step
from toolkit.cache import cached, digest
from toolkit.runtimes.bundle import Bundle, export_inference, read_bundle, trainable_names, write_bundle
from toolkit.sources import code_digest
from toolkit.stages.compress import Compacted
from toolkit.stages.load import Job
from toolkit.stages.probe import Board
from toolkit.stages.quantise import computing_as
from toolkit.stages.watch import Watch

_ACCEPTANCE_EXAMPLES = 8


def export(job: Job, board: Board, compact: Compacted, watch: Watch) -> Bundle:
    """Export for the runtime; a bundle that was exported before is reused."""
    with watch.stage("export"):
        version = board.runtime_version
        arch = board.target.family.arch
        code = code_digest("toolkit.runtimes", "toolkit.adaptation", "toolkit.stages.quantise", __name__)
        key = digest(compact.key, job.runtime.name, version, arch, code)

        def write(folder: Path) -> None:
            support = job.task.support.x
            watch.progress.advance(0, 2)
            inference = export_inference(job.runtime, compact.backbone, compact.head, job.example, compact.quantisation)
            if inference.fp32_layers:
                watch.note(f"{', '.join(inference.fp32_layers)} stay fp32: the runtime cannot run them otherwise")
            watch.progress.advance(1, 2)
            network = nn.Sequential()
            network.add_module("backbone", compact.backbone)
            network.add_module("head", compact.head)
            names = trainable_names(compact.backbone)
            step = job.runtime.export(trace_train_step(network, names, support, len(job.task.classes)), ())
            watch.progress.advance(2, 2)
            precision = compact.quantisation.arithmetic.precision if compact.quantisation else "fp32"
            with computing_as(compact.backbone, compact.quantisation):  # what the board's outputs are compared with
                write_bundle(
                    folder,
                    job.runtime,
                    version,
                    arch,
                    compact.backbone,
                    compact.head,
                    job.start,
                    job.task.classes,
                    support[:_ACCEPTANCE_EXAMPLES],
                    inference,
                    step,
                    precision,
                )

        folder, watch.was_cached = cached("bundles", key, write)
        return read_bundle(folder)
