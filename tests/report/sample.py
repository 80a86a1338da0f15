"""A full, plausible result, and the ways in which real ones differ from it."""

from typing import Any

from toolkit.deployment import (
    Accuracy,
    AccuracyTable,
    Adaptation,
    Bytes,
    CurvePoint,
    Deployment,
    FrontierPoint,
    HeldOut,
    Latency,
    LayerChoice,
    NodeCounts,
    Stage,
)


def deployment(**changes: Any) -> Deployment:
    """A digits network on the host: fits, active, adapted. `changes` replace fields."""
    return Deployment(
        **{
            "created_at": "2026-01-31T12:00:00Z",
            "toolkit_version": "0.1.0",
            "target": "host",
            "target_verified": True,
            "runtime": "onnxruntime",
            "runtime_version": "1.31.0",
            "seed": 0,
            "model": "toolkit.examples.digits:model",
            "task": "letters",
            "classes": ("A", "E", "H", "R", "T"),
            "shots": 5,
            "device_facts": {
                "machine": "x86_64",
                "cpu": "A CPU @ 2.60GHz",
                "cores": 4,
                "ram_bytes": 16_621_000_000,
                "board": None,
                "runtimes": {"onnxruntime": "1.31.0"},
            },
            "conditions": {"before": conditions(51.5, 0.4), "after": conditions(58.25, 1.2)},
            "stages": tuple(Stage(name=n, seconds=s, cached=c) for n, s, c in STAGES),
            "allocator": "exact",
            "allocation": tuple(layer(*row) for row in LAYERS),
            "bound_gap": 0.0004,
            "latency_ms": latency(),
            "peak_memory_bytes": memory(),
            "size_bytes": Bytes(budget=None, source="", predicted=1_210_000, measured=1_234_000, dense=4_900_000),
            "release_bytes": 2_345_678,
            "parameters_dense": 1_220_000,
            "parameters_compact": 301_000,
            "compressible_parameters_dense": 1_200_000,
            "compressible_parameters_compact": 281_000,
            "accuracy": accuracy(),
            "host_device_max_abs_difference": 3.6e-7,
            "host_device_max_relative_difference": 1.2e-7,
            "nodes": NodeCounts(total=41, delegated=38, fallback=3),
            "frontier": frontier(),
            "adaptation": adaptation(),
            "release": "3f2a9c",
            "active": True,
            "notes": ("The clock governor is not 'performance'.",),
            **changes,
        }
    )


def plan(**changes: Any) -> Deployment:
    """The same, only planned: every field that may be None is."""
    unmeasured = {"median": None, "p95": None, "min": None, "runs": None, "attempts": None}
    nothing: dict[str, Any] = dict.fromkeys(
        (
            "accuracy",
            "host_device_max_abs_difference",
            "host_device_max_relative_difference",
            "nodes",
            "adaptation",
            "release",
            "release_bytes",
        )
    )
    return deployment(
        **nothing
        | {
            "active": False,
            "latency_ms": latency(**unmeasured),
            "peak_memory_bytes": memory(measured=None),
            "size_bytes": Bytes(budget=None, source="", predicted=1_210_000, measured=None, dense=4_900_000),
            "frontier": (),
            "notes": (),
        }
        | changes
    )


def latency(**changes: Any) -> Latency:
    fields: dict[str, Any] = {
        "budget": 0.5,
        "source": "half of the dense model's p95",
        "planned_median": 0.45,
        "predicted": 0.39,
        "predicted_low": 0.37,
        "predicted_high": 0.41,
        "median": 0.38,
        "p95": 0.41,
        "min": 0.36,
        "runs": 200,
        "attempts": 1,
        "dense_median": 0.91,
        "dense_p95": 1.0,
        "clock": "wall",
    }
    return Latency(**fields | changes)


def memory(**changes: Any) -> Bytes:
    fields = {
        "budget": 4_155_000_000,
        "source": "a quarter of the RAM",
        "predicted": 61_000_000,
        "measured": 64_300_000,
        "dense": 72_000_000,
    }
    return Bytes(**fields | changes)


def accuracy(**changes: Any) -> AccuracyTable:
    def on(value: float, data: str, examples: int, ran_on: str) -> Accuracy:
        return Accuracy.model_validate({"value": value, "examples": examples, "data": data, "ran_on": ran_on})

    fields: dict[str, Any] = {
        "general_dense": on(0.972, "10 digits, held out", 1000, "host"),
        "general_compact": on(0.965, "10 digits, held out", 1000, "host"),
        "task_dense": on(0.795, "5 letters, queries", 200, "host"),
        "task_compact": on(0.755, "5 letters, queries", 200, "device"),
        "task_adapted": on(0.82, "5 letters, queries", 200, "device"),
    }
    return AccuracyTable(**fields | changes)


def adaptation(**changes: Any) -> Adaptation:
    held_out = HeldOut(accuracy_before=0.76, accuracy_after=0.84, loss_before=0.71, loss_after=0.48)
    curve = tuple(
        CurvePoint(
            step=step,
            loss=0.46 + 0.25 * 0.8 ** (step / 4) + 0.002 * step,
            accuracy=min(0.84, 0.76 + step / 250),
        )
        for step in range(5, 45, 5)
    )
    fields: dict[str, Any] = {
        "accepted": True,
        "reason": "held-out examples are classified better",
        "steps": 20,
        "folds": 5,
        "trained_values": 12_345,
        "step_ms": 4.2,
        "peak_bytes": 98_000_000,
        "held_out": held_out,
        "curve": curve,
        "training_loss": tuple(0.7 * 0.93**step for step in range(20)),
    }
    return Adaptation(**fields | changes)


def conditions(temperature_c: float, load: float) -> dict[str, Any]:
    return {
        "governor": "schedutil",
        "frequency_mhz": [2600.0, 2600.0, 2400.0, 2600.0],
        "temperature_c": temperature_c,
        "load_1min": load,
    }


def layer(name: str, rank: int | None, full_rank: int, gain_kept: float) -> LayerChoice:
    return LayerChoice(
        layer=name,
        choice="dense" if rank is None else "compact",
        rank=rank,
        full_rank=full_rank,
        predicted_ms=0.001 * (rank or full_rank),
        source="measured",
        dense_ms=0.001 * full_rank,
        gain_kept=gain_kept,
        loss_nats=0.4 * (1 - gain_kept),
        weight_bytes=4 * 256 * (rank or full_rank),
    )


def frontier() -> tuple[FrontierPoint, ...]:
    rows = (
        ("dense", 0.91, 0.93, 0.972, False),
        ("exact at 15% of the way to dense", 0.2, 0.21, 0.61, False),
        ("exact at 40% of the way to dense", 0.38, 0.36, 0.9, False),
        ("exact at 70% of the way to dense", 0.6, 0.63, 0.95, False),
        ("exact at 15%, cores trained", 0.2, 0.21, 0.89, True),
        ("exact at 70%, cores trained", 0.6, 0.63, 0.97, True),
        ("deployed", 0.38, 0.39, 0.965, True),
    )
    return tuple(
        FrontierPoint(
            label=label,
            latency_ms=measured_ms,
            predicted_ms=predicted_ms,
            size_bytes=int(measured_ms * 3e6),
            accuracy=value,
            recovered=recovered,
        )
        for label, measured_ms, predicted_ms, value, recovered in rows
    )


STAGES = (
    ("look at the board", 0.4, False),
    ("profile", 64.2, True),
    ("calibrate", 12.5, False),
    ("allocate", 0.05, False),
    ("recover accuracy", 184.0, False),
    ("install and verify", 9.7, False),
    ("adapt on the device", 21.3, False),
)
LAYERS = (
    ("backbone.stem.conv", None, 16, 1.0),
    ("backbone.layer1.0.conv1", 16, 64, 0.93),
    ("backbone.layer1.0.conv2", 8, 64, 0.88),
    ("backbone.layer2.0.conv1", 32, 128, 0.97),
    ("backbone.layer2.0.conv2", 16, 128, 0.91),
    ("backbone.layer3.0.conv1", 48, 256, 0.95),
    ("backbone.layer3.0.projection_of_the_shortcut", 16, 256, 0.84),
    ("backbone.features", 32, 128, 0.99),
)
