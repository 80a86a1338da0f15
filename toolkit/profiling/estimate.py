"""Estimate what a board would take that nobody measured, from its datasheet: the roofline model.

Williams, Waterman and Patterson 2009: a layer takes as long as its operations at the peak rate or its bytes at the
memory's bandwidth, whichever is longer. A real board takes longer: no such number may pass for a measurement.
"""

from math import prod

from toolkit.profiling.measurement import Measurement
from toolkit.profiling.signature import Signature
from toolkit.targets import Datasheet

_FLOAT_BYTES = 4


def estimate(layer: Signature, datasheet: Datasheet, threads: int) -> Measurement:
    """A lower bound on so many threads, of which each has a core while there are cores; flagged as an estimate."""
    positions, taps = layer.output_positions, prod(layer.kernel) / layer.groups
    first = layer.rank or layer.outputs
    second = layer.rank * layer.outputs if layer.rank else 0
    operations = 2 * positions * (layer.inputs * taps * first + second)
    weights = layer.inputs * taps * first + second + (layer.outputs if layer.bias else 0)
    between = 2 * positions * layer.rank if layer.rank else 0  # written by one factor, read by the other
    values = weights + prod(layer.input_shape) + between + positions * layer.outputs
    share = min(1.0, threads / datasheet.cores)
    compute_ms = operations / (share * datasheet.peak_gflops_fp32 * 1e6)
    memory_ms = values * _FLOAT_BYTES / (datasheet.memory_bandwidth_gb_s * 1e6)
    return as_estimate(max(compute_ms, memory_ms))


def as_estimate(ms: float) -> Measurement:
    """A time that nobody took."""
    return Measurement(median_ms=ms, p95_ms=ms, min_ms=ms, runs=1, warmups=0, load_ms=0.0, flags=("estimate",))
