"""Learning that is cut off goes on where it was, and ends with the very bits that it would have had."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from native import Made, make_release
from safetensors.numpy import load_file, save_file

from edge_runtime import checkpoint
from edge_runtime.checkpoint import Checkpoint, key_of, unfinished_beside
from edge_runtime.guard import Reached
from edge_runtime.tensors import write_arrays
from toolkit.devices.agent.adapt import adapt
from toolkit.runtimes import onnxruntime

STEPS = 30


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_release(tmp_path_factory.mktemp("going_on") / "release", "mlp", onnxruntime, "fitted")


@pytest.fixture
def spec(release: Made, tmp_path: Path) -> dict[str, Any]:
    """Hard to tell apart, so that there is something to learn; with noise, so that its random numbers count, too."""
    shifts = np.random.default_rng(0).normal(0.3, 1.0, (2, *release.x.shape)).astype(np.float32)
    x = np.concatenate(release.x.numpy() + shifts)[:12]
    labels = np.arange(12, dtype=np.int64) % 3
    save_file({"inputs.x": x, "targets.y": labels, "strata": labels}, tmp_path / "support")
    paths = {"release": str(release.bundle.folder), "support": str(tmp_path / "support")}
    more = {"steps": STEPS, "lr": 3e-3, "jitter": {"x": 0.25}, "seed": 7, "threads": 1}
    return {**paths, "adapted": str(tmp_path / "learned.safetensors"), **more}


@pytest.fixture(autouse=True)
def _at_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "_EVERY_S", 0.0)
    monkeypatch.setattr(checkpoint, "_SHARE", float("inf"))


class Cut(BaseException):
    """What nothing catches, as nothing catches a kill."""


def _learned(
    spec: dict[str, Any], cut_at: tuple[str, int] | None = None
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    events: list[dict[str, Any]] = []

    def emit(event: str, **fields: Any) -> None:
        if cut_at and event == cut_at[0] and fields["step"] >= cut_at[1]:
            raise Cut
        events.append({"event": event, **fields})

    return adapt(spec, emit), events


@pytest.mark.parametrize("cut_at", [("curve", 5), ("curve", 20), ("step", 2), ("step", 4)])
def test_it_ends_with_the_very_bits(spec: dict[str, Any], cut_at: tuple[str, int]) -> None:
    whole, _ = _learned(spec)
    assert whole["accepted"], "or nothing is compared"
    assert whole["steps"] >= 4
    wanted = Path(spec["adapted"]).read_bytes()
    Path(spec["adapted"]).unlink()
    with pytest.raises(Cut):
        _learned(spec, cut_at)
    assert not Path(spec["adapted"]).exists()
    said, events = _learned(spec)
    # The step that it was cut off in is done once more, and no other.
    assert events[0]["resumed"] == cut_at[1] - 1
    assert Path(spec["adapted"]).read_bytes() == wanted
    assert {**said, "step_ms": None, "peak_bytes": None} == {**whole, "step_ms": None, "peak_bytes": None}


def test_one_that_is_cut_off_before_its_outcome_is_kept_goes_on(
    spec: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(path: str, arrays: object) -> None:
        raise Cut

    with monkeypatch.context() as patch:
        patch.setattr("toolkit.devices.agent.adapt.write_arrays", cut)
        with pytest.raises(Cut):
            _learned(spec)
    said, events = _learned(spec)
    assert events[0]["resumed"] == said["steps"], "all of the final run is done"
    assert [event for event in events if event["event"] == "step"] == []
    assert Path(spec["adapted"]).exists()


def test_what_has_ended_leaves_nothing(spec: dict[str, Any]) -> None:
    _learned(spec)
    assert not Path(unfinished_beside(spec["adapted"])).exists()


@pytest.mark.parametrize("change", [{"seed": 8}, {"lr": 1e-3}, {"steps": STEPS + 1}, {"method": "head"}])
def test_what_is_learned_otherwise_begins_anew(spec: dict[str, Any], change: dict[str, Any]) -> None:
    with pytest.raises(Cut):
        _learned(spec, ("curve", 10))
    _, events = _learned({**spec, **change})
    assert "resumed" not in events[0]


def test_more_time_or_memory_changes_nothing_of_it(spec: dict[str, Any]) -> None:
    with pytest.raises(Cut):
        _learned(spec, ("curve", 10))
    _, events = _learned({**spec, "seconds": 1e4, "memory_bytes": 2**40})
    assert events[0]["resumed"] == 9


def test_other_examples_begin_anew(spec: dict[str, Any]) -> None:
    with pytest.raises(Cut):
        _learned(spec, ("curve", 10))
    support = load_file(spec["support"])
    support["inputs.x"][0, 0] += 1e-3
    save_file(support, spec["support"])
    _, events = _learned(spec)
    assert "resumed" not in events[0]


@pytest.mark.parametrize("damage", [b"", b"\0" * 4000, "flip"])
def test_a_damaged_one_is_no_error(spec: dict[str, Any], damage: bytes | str) -> None:
    with pytest.raises(Cut):
        _learned(spec, ("curve", 10))
    file = Path(unfinished_beside(spec["adapted"]))
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(bytes(content) if isinstance(damage, str) else damage)
    _, events = _learned(spec)
    assert "resumed" not in events[0]


def test_one_that_lacks_what_it_says_is_dropped(spec: dict[str, Any]) -> None:
    """Nothing writes such; whoever meets one must not meet it for ever."""
    with pytest.raises(Cut):
        _learned(spec, ("curve", 10))
    file = unfinished_beside(spec["adapted"])
    told = load_file(file)
    write_arrays(file, {"told": told["told"]})
    with pytest.raises(KeyError):
        _learned(spec)
    _, events = _learned(spec)
    assert "resumed" not in events[0]


def test_it_is_written_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "_EVERY_S", 1e6)
    kept = Checkpoint(str(tmp_path / "unfinished"), "key")
    assert not kept.is_due()
    assert not Checkpoint().is_due()


def test_what_is_too_large_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "_MOST_BYTES", 15)
    kept = Checkpoint(str(tmp_path / "unfinished"), "key")
    kept.keep({}, {"a": np.zeros(4, np.float32)})
    assert kept.read() is None
    kept.keep({}, {"a": np.zeros(3, np.float32)})
    assert kept.read() is not None


def test_a_full_disk_stops_no_learning(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way of a folder")
    kept = Checkpoint(str(tmp_path / "file" / "unfinished"), "key")
    kept.keep({}, {})
    assert kept.read() is None


def test_a_key_depends_on_names_and_shapes_of_examples() -> None:
    flat, square = np.zeros(4, np.float32), np.zeros((2, 2), np.float32)
    keys = {key_of("d", {}, 1, {name: array}) for name in ("a", "b") for array in (flat, square)}
    assert len(keys) == 4


def test_states_to_go_back_to_are_kept_as_they_were() -> None:
    reached = Reached()
    for step in range(1, 101):
        reached.add(step, [np.full((2, 3), step, np.float32), np.float32(step)], step == 100)
    again = Reached()
    again.go_on(reached.arrays(), [step for step, _ in reached.kept], reached.every)
    for one, other in zip([reached, again], [again, reached], strict=True):
        one.add(110, [np.zeros((2, 3), np.float32), np.float32(0)], False)
        assert [step for step, _ in one.kept][:-1] == [step for step, _ in other.kept][: len(one.kept) - 1]
    for (step, values), (step_again, values_again) in zip(reached.kept, again.kept, strict=True):
        assert step == step_again
        assert all(np.array_equal(a, b) for a, b in zip(values, values_again, strict=True))
