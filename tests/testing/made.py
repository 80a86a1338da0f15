"""Samples as a board would have given them."""

import numpy as np

from toolkit.testing.reference import REFERENCE
from toolkit.testing.samples import Samples

DEVICE = {"machine": "aarch64", "cpu": "Cortex-A72", "cores": 4, "kernel": "6.1"}


def wall_samples(ms: float, seed: int, *, machine: float = 1.0, noise: float = 0.03, rounds: int = 10) -> Samples:
    """A release of so many milliseconds on a machine `machine` times as slow in every round, by its own factor."""
    random = np.random.default_rng(seed)
    common = machine * random.uniform(1, 1.5, rounds)
    own, other = np.exp(random.normal(0, noise, (2, rounds)))
    times = tuple((ms * common * own).tolist()), tuple((0.2 * common * other).tolist())
    return _samples("wall", *times, REFERENCE)


def counted_samples(ms: float, seed: int) -> Samples:
    """On an instruction clock."""
    times = ms * np.exp(np.random.default_rng(seed).normal(0, 0.002, 5))
    return _samples("instructions", tuple(times.tolist()), (), None)


def _samples(
    clock: str, release_ms: tuple[float, ...], reference_ms: tuple[float, ...], reference: str | None
) -> Samples:
    return Samples.model_validate(
        {
            "target": "desk",
            "device": DEVICE,
            "runtime": "onnxruntime",
            "runtime_version": "1.31.1",
            "threads": 1,
            "clock": clock,
            "release": "ab" * 32,
            "reference": reference,
            "release_ms": release_ms,
            "reference_ms": reference_ms,
            "measured_at": "2026-01-02T03:04:05+00:00",
            "conditions": {},
        }
    )
