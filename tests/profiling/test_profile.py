"""Profiles: measured once, kept, resumed after an interruption, refused when damaged."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from torch import nn
from workplace import Workplace, inside, local_agent

from toolkit.devices import Agent, probe
from toolkit.errors import BadInput
from toolkit.profiling import Measurement, Profile, open_profile, profile_layers, save_profile, variants_of
from toolkit.runtimes import RUNTIMES
from toolkit.shipped import shipped_folder

LAYERS = {"a": nn.Linear(32, 32), "b": nn.Linear(32, 16)}
VARIANTS = variants_of(LAYERS, dict.fromkeys(LAYERS, (1, 32)), 8)
ROW = Measurement(median_ms=1.0, p95_ms=1.1, min_ms=0.9, runs=10, warmups=5, load_ms=2.0)


@pytest.fixture
def agent(place: Workplace) -> Agent:
    return local_agent(place)


@pytest.fixture
def kept(place: Workplace, agent: Agent) -> Callable[[], tuple[Profile, Path]]:
    """Opens this machine's profile."""

    def opened() -> tuple[Profile, Path]:
        with inside(place):
            return open_profile(place.target, probe(agent), "onnxruntime", "1")

    return opened


def test_a_profile_in_the_working_folder_is_read_and_then_kept_as_ones_own(
    place: Workplace, kept: Callable[[], tuple[Profile, Path]]
) -> None:
    empty, own = kept()
    save_profile(empty.with_rows({"linear 4->4 on 1x4: dense": ROW}, {}), place.folder / "profiles" / own.name)
    found, path = kept()
    assert found.rows == {"linear 4->4 on 1x4: dense": ROW}
    assert path == own


def test_shipped_profiles_are_of_this_schema_and_name_their_target() -> None:
    shipped = sorted(shipped_folder("profiles").glob("*.json"))
    assert shipped
    for file in shipped:
        profile = Profile.model_validate_json(file.read_text())
        assert file.name.startswith(f"{profile.target}-{profile.runtime}-")


def test_rows_measured_before_are_not_measured_again(
    agent: Agent, kept: Callable[[], tuple[Profile, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["toolkit.profiling.profile_layers"], "_BATCH", 2)
    empty, path = kept()

    def stop_in_the_second_batch(done: int, total: int) -> None:
        assert total == len(VARIANTS) == 4
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        profile_layers(agent, RUNTIMES["onnxruntime"], VARIANTS, empty, path, stop_in_the_second_batch)
    first, _ = kept()
    assert list(first.rows) == list(VARIANTS)[:2]

    timed: list[tuple[int, int]] = []
    whole = profile_layers(
        agent, RUNTIMES["onnxruntime"], VARIANTS, first, path, lambda *progress: timed.append(progress)
    )
    assert timed == [(1, 2), (2, 2)]
    assert set(whole.rows) == set(VARIANTS)
    assert {key: whole.rows[key] for key in first.rows} == first.rows
    assert kept()[0].rows == whole.rows
    assert all(row.min_ms <= row.median_ms <= row.p95_ms and row.runs >= 10 for row in whole.rows.values())


def test_a_profile_belongs_to_device_runtime_version_and_threads(place: Workplace, agent: Agent) -> None:
    facts, target = probe(agent), place.target
    with inside(place):
        paths = {
            open_profile(target, facts, "onnxruntime", "1")[1],
            open_profile(target, facts, "onnxruntime", "2")[1],
            open_profile(target, facts, "executorch", "1")[1],
            open_profile(target.model_copy(update={"threads": 2}), facts, "onnxruntime", "1")[1],
            open_profile(target.model_copy(update={"clock": "instructions"}), facts, "onnxruntime", "1")[1],
        }
    assert len(paths) == 5


def test_newer_rows_win() -> None:
    profile = Profile(
        target="t",
        device={},
        runtime="r",
        runtime_version="1",
        threads=1,
        clock="wall",
        measured_at="",
        rows={"a": ROW},
    )
    newer = ROW.model_copy(update={"median_ms": 1.05})
    later = profile.with_rows({"a": newer, "b": ROW}, {"b": 7})
    assert later.rows == {"a": newer, "b": ROW}
    assert later.process_bytes == {"b": 7}
    assert later.measured_at
    assert profile.rows == {"a": ROW}


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "[]",
        lambda text: "\x00" * 10,
        lambda text: text.replace('"median_ms": 1.0', '"median_ms": -1.0'),
        lambda text: text.replace('"threads"', '"strands"'),
    ],
    ids=["cut", "empty", "list", "zeros", "negative", "renamed"],
)
def test_a_damaged_profile_is_named(kept: Callable[[], tuple[Profile, Path]], damage: Callable[[str], str]) -> None:
    profile, path = kept()
    save_profile(profile.with_rows({"a": ROW}, {}), path)
    path.write_text(damage(json.dumps(json.loads(path.read_text()))))
    with pytest.raises(BadInput, match="is damaged") as caught:
        kept()
    assert caught.value.where == str(path)
    assert "Delete it" in str(caught.value.next)
    path.unlink()
    assert kept()[0].rows == {}


def test_saving_leaves_one_file(kept: Callable[[], tuple[Profile, Path]]) -> None:
    profile, path = kept()
    save_profile(profile, path)
    save_profile(profile.with_rows({"a": ROW}, {}), path)
    assert list(path.parent.iterdir()) == [path]
    assert kept()[0].rows == {"a": ROW}
