"""Stage 3: the budget of one inference, asked for or by default."""

from toolkit.profiling import Budget, derive_budget
from toolkit.request import Overrides
from toolkit.stages.probe import Known
from toolkit.stages.profile import Profiled
from toolkit.stages.watch import Watch
from toolkit.units import format_bytes, format_milliseconds


def budget(board: Known, profile: Profiled, overrides: Overrides, watch: Watch) -> Budget:
    """The limits, each with where it came from."""
    with watch.stage("budget"):
        limits = derive_budget(
            board.target,
            board.facts,
            profile.dense.measurement,
            latency_ms=overrides.latency_ms,
            memory_bytes=overrides.memory_bytes,
            size_bytes=overrides.size_bytes,
            keep_accuracy=overrides.keep_accuracy,
            speedup=overrides.speedup,
        )
        if limits.latency_ms:
            watch.progress.note(
                f"p95 latency {format_milliseconds(limits.latency_ms.value)}: {limits.latency_ms.source}"
            )
        if limits.peak_memory_bytes:
            watch.progress.note(
                f"peak memory {format_bytes(limits.peak_memory_bytes.value)}: {limits.peak_memory_bytes.source}"
            )
        if limits.size_bytes:
            watch.progress.note(f"size {format_bytes(limits.size_bytes.value)}: {limits.size_bytes.source}")
        if limits.keep_accuracy is not None:
            watch.progress.note(f"latency as low as {limits.keep_accuracy:.1%} of the dense accuracy allows")
        return limits
