"""Stage 6: the bundle: inference program, train step, tensors, acceptance outputs, manifest."""

import inspect
import sys
from importlib import metadata
from pathlib import Path

from torch import nn

from toolkit.adaptation import gradients, trace_train_step
from toolkit.adaptation import train_step as train_step_module
from toolkit.cache import cached, digest
from toolkit.request import Request
from toolkit.runtimes import bundle as bundles
from toolkit.runtimes.bundle import Bundle
from toolkit.stages.compress import Compacted
from toolkit.stages.load import Job
from toolkit.stages.watch import Watch

_ACCEPTANCE_EXAMPLES = 8


def export(job: Job, compact: Compacted, request: Request, watch: Watch) -> Bundle:
    """Export for the runtime; a bundle that was exported before is reused."""
    with watch.stage("export"):
        version = metadata.version(job.runtime.name)
        # What the bundle is made of includes the code that makes it.
        code = [
            inspect.getsource(module)
            for module in (bundles, train_step_module, gradients, sys.modules[job.runtime.export.__module__])
        ]
        key = digest(compact.key, job.runtime.name, version, metadata.version("torch"), code)

        def write(folder: Path) -> None:
            support = job.task.support.x
            watch.progress.advance(0, 2)
            inference = bundles.export_inference(job.runtime, compact.backbone, compact.head, job.example)
            watch.progress.advance(1, 2)
            network = nn.Sequential()
            network.add_module("backbone", compact.backbone)
            network.add_module("head", compact.head)
            names = bundles.trainable_names(compact.backbone)
            step = job.runtime.export(trace_train_step(network, names, support, len(job.task.classes)), ())
            watch.progress.advance(2, 2)
            bundles.write_bundle(
                folder,
                job.runtime,
                version,
                compact.backbone,
                compact.head,
                job.start,
                job.task.classes,
                support[:_ACCEPTANCE_EXAMPLES],
                inference,
                step,
            )

        folder, watch.was_cached = cached("bundles", key, write)
        return bundles.read_bundle(folder)
