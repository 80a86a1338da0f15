"""Profiles: measured once, kept, resumed after an interruption, refused when damaged."""

import copy
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from workplace import Workplace, inside, local_agent

from toolkit.devices import Agent, probe
from toolkit.errors import BadInput
from toolkit.profiling import (
    Measurement,
    Profile,
    layer_part,
    open_profile,
    profile_layers,
    read_profile,
    save_profile,
    stored_profile,
    variants_of,
)
from toolkit.profiling.predictor import ROWS_AT_LEAST
from toolkit.profiling.profile import DeviceIdentity
from toolkit.profiling.profile_file import parse_profile
from toolkit.runtimes import RUNTIMES
from toolkit.shipped import shipped_folder
from toolkit.targets import SshPlace, load_family

LAYERS = {"a": nn.Linear(32, 32), "b": nn.Linear(32, 16)}
VARIANTS = variants_of([layer_part(name, layer, (1, 32), 8) for name, layer in LAYERS.items()])
ROW = Measurement(median_ms=1.0, p95_ms=1.1, min_ms=0.9, runs=10, warmups=5, load_ms=2.0)
DEVICE = DeviceIdentity(
    machine="aarch64", cpu="a", cores=4, ram_bytes=10**9, kernel="6.1", libc="glibc 2.36", board="a board"
)
PROFILE = Profile(
    family="t", device=DEVICE, runtime="r", runtime_version="1", threads=1, clock="wall", rows={"a": ROW, "é": ROW}
)


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


def test_shipped_profiles_are_of_this_schema_and_name_their_family() -> None:
    shipped = sorted(shipped_folder("profiles").glob("*.json"))
    assert shipped
    for file in shipped:
        profile = read_profile(file)
        assert file.name.startswith(f"{profile.family}-{profile.runtime}-")


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
    assert list(first.rows) == [key for key in VARIANTS if key.endswith("dense")]

    timed: list[tuple[int, int]] = []
    whole = profile_layers(
        agent, RUNTIMES["onnxruntime"], VARIANTS, first, path, lambda *progress: timed.append(progress)
    )
    assert timed == [(1, 2), (2, 2)]
    assert set(whole.rows) == set(VARIANTS)
    assert {key: whole.rows[key] for key in first.rows} == first.rows
    assert kept()[0].rows == whole.rows
    assert all(row.min_ms <= row.median_ms <= row.p95_ms and row.runs >= 10 for row in whole.rows.values())


def test_a_budget_that_is_spent_leaves_the_rest_to_be_predicted(
    agent: Agent, kept: Callable[[], tuple[Profile, Path]]
) -> None:
    layers = {str(width): nn.Linear(width, 128) for width in (96, 128, 160)}
    variants = variants_of([layer_part(name, layer, (1, int(name)), 8) for name, layer in layers.items()])
    empty, path = kept()
    notes: list[str] = []
    found = profile_layers(
        agent, RUNTIMES["onnxruntime"], variants, empty, path, lambda *_: None, budget_s=1e-6, on_note=notes.append
    )
    assert len(found.rows) == ROWS_AT_LEAST < len(variants)
    assert {key for key in variants if key.endswith("dense")} <= found.rows.keys()
    assert any("1e-06 s are spent" in note for note in notes)


def test_a_profile_belongs_to_device_runtime_version_and_threads(place: Workplace, agent: Agent) -> None:
    facts, target = probe(agent), place.target
    counted = target.family.model_copy(update={"clock": "instructions"})
    with inside(place):
        paths = {
            open_profile(target, facts, "onnxruntime", "1")[1],
            open_profile(target, facts, "onnxruntime", "2")[1],
            open_profile(target, facts, "executorch", "1")[1],
            open_profile(target.model_copy(update={"threads": 2}), facts, "onnxruntime", "1")[1],
            open_profile(target.model_copy(update={"family": counted}), facts, "onnxruntime", "1")[1],
        }
    assert len(paths) == 5


def test_equal_boards_share_a_profile_whatever_they_are_called(place: Workplace, agent: Agent) -> None:
    facts, target = probe(agent), place.target
    another = target.model_copy(update={"name": "left", "place": SshPlace(host="left"), "root": "/srv/left"})
    other_kind = target.model_copy(update={"family": target.family.model_copy(update={"name": "rack"})})
    with inside(place):
        empty, path = open_profile(target, facts, "onnxruntime", "1")
        save_profile(empty.with_rows({"a": ROW}, {}), path)
        assert open_profile(another, facts, "onnxruntime", "1")[0].rows == {"a": ROW}
        assert stored_profile(another, "onnxruntime", ("1",)).rows == {"a": ROW}
        assert open_profile(other_kind, facts, "onnxruntime", "1")[0].rows == {}


def test_newer_rows_win() -> None:
    profile = PROFILE.model_copy(update={"rows": {"a": ROW}})
    newer = ROW.model_copy(update={"median_ms": 1.05})
    later = profile.with_rows({"a": newer, "b": ROW}, {"b": 7})
    assert later.rows == {"a": newer, "b": ROW}
    assert later.process_bytes == {"b": 7}
    assert later.measured_at
    assert profile.rows == {"a": ROW}


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda text: text[: len(text) // 2], r"damaged \(.*line \d+ column \d+"),
        (lambda text: "", "damaged .*line 1"),
        (lambda text: "[]", "damaged .*not a JSON object"),
        (lambda text: "\x00" * 10, "damaged"),
        (lambda text: "[" * 100_000, "damaged"),
        (lambda text: text.replace('"median_ms": 1.0', '"median_ms": -1.0'), r"damaged \(rows.a.median_ms: .*greater"),
        (lambda text: text.replace('"median_ms": 1.0', '"median_ms": 0'), r"damaged \(rows.a.median_ms: .*greater"),
        (lambda text: text.replace('"median_ms": 1.0', '"median_ms": NaN'), "NaN is no number"),
        (lambda text: text.replace('"median_ms": 1.0', '"median_ms": 1e999'), r"rows.a.median_ms: .*finite"),
        (
            lambda text: text.replace('"median_ms": 1.0', '"median_ms": 1.2'),
            r"rows.a: .*median 1.2, p95 1.1 are not",
        ),
        (lambda text: text.replace('"min_ms": 0.9', '"min_ms": 1.01'), r"rows.a: .*min 1.01, .* are not in order"),
        (lambda text: text.replace('"median_ms": 1.0', '"median_ms": 1.05'), "changed after it was measured"),
        (lambda text: text.replace('"median_ms": 1.0', '"median_ms": 1.0, "median_ms": 1.05'), "occurs twice"),
        (lambda text: text.replace('"runs": 10', '"runs": 11'), "changed after it was measured"),
        (lambda text: text.replace('"threads"', '"strands"'), "damaged .*strands|damaged .*threads"),
        (lambda text: text.replace('"schema_version": 3', '"schema_version": 1'), "of schema 1, .* reads schema 3"),
        (lambda text: text.replace('"schema_version": 3', '"schema_version": 99'), "of schema 99"),
        (lambda text: text.replace('"flags": []', '"flags": ["estimate"]'), "holds an estimate for a"),
    ],
)
def test_a_damaged_profile_is_named_with_what_is_wrong(
    kept: Callable[[], tuple[Profile, Path]], damage: Callable[[str], str], why: str
) -> None:
    profile, path = kept()
    save_profile(profile.with_rows({"a": ROW}, {}), path)
    path.write_text(damage(json.dumps(json.loads(path.read_text()))))
    with pytest.raises(BadInput, match=why) as caught:
        kept()
    assert caught.value.where == str(path)
    assert "Delete it" in str(caught.value.next)
    assert "\n" not in caught.value.what
    path.unlink()
    assert kept()[0].rows == {}


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("runtime_version", "0.9", "runtime version 0.9, here 1"),
        ("device", {"cpu": "another"}, "measured on another board .cpu another, here"),
        ("device", {"ram_bytes": 1}, "measured on another board .ram_bytes 1, here"),
        ("clock", "instructions", "clock instructions, here wall"),
        ("threads", 9, "threads 9, here 1"),
    ],
)
def test_a_profile_under_anothers_name_is_refused(
    kept: Callable[[], tuple[Profile, Path]], field: str, value: Any, why: str
) -> None:
    profile, path = kept()
    value = profile.device.model_copy(update=value) if field == "device" else value
    save_profile(profile.model_copy(update={field: value}), path)
    with pytest.raises(BadInput, match=why):
        kept()


def test_without_a_board_only_a_profile_of_this_runtime_version_serves(
    place: Workplace, kept: Callable[[], tuple[Profile, Path]]
) -> None:
    profile, path = kept()
    with inside(place), pytest.raises(BadInput, match="no profile") as caught:
        stored_profile(place.target, "onnxruntime", ("1",))
    assert "deploy profile --target desk --runtime onnxruntime" in str(caught.value.next)
    save_profile(profile.with_rows({"a": ROW}, {}), path)
    with inside(place):
        assert stored_profile(place.target, "onnxruntime", ("1",)).rows == {"a": ROW}
        with pytest.raises(BadInput, match="is of runtime version 1, here 2"):
            stored_profile(place.target, "onnxruntime", ("2",))


def test_without_a_board_a_profile_of_another_cpu_does_not_serve(
    place: Workplace, kept: Callable[[], tuple[Profile, Path]]
) -> None:
    """The emulated boards may be booted with another CPU than is theirs, and be measured with it."""
    profile, path = kept()
    save_profile(profile.with_rows({"a": ROW}, {}), path)
    mine = place.target.family.model_copy(update={"cpu": profile.device.cpu})
    other = place.target.family.model_copy(update={"cpu": "implementer 0x41 part 0xd0b"})
    with inside(place):
        assert stored_profile(place.target.model_copy(update={"family": mine}), "onnxruntime", ("1",)).rows
        with pytest.raises(BadInput, match="is of another CPU"):
            stored_profile(place.target.model_copy(update={"family": other}), "onnxruntime", ("1",))


def test_the_shipped_profiles_are_of_their_boards_cpu() -> None:
    shipped = [read_profile(path) for path in shipped_folder("profiles").glob("*.json")]
    assert shipped
    for profile in shipped:
        assert load_family(profile.family).cpu == profile.device.cpu


def test_what_is_saved_is_read_back_to_the_digit(tmp_path: Path) -> None:
    row = ROW.model_copy(update={"median_ms": 1 / 3, "min_ms": 1e-17, "paced_rate_hz": 29.97})
    row = row.model_copy(update={"paced_median_ms": 0.1 + 0.2, "paced_p95_ms": 2 / 3, "flags": ("throttled",)})
    save_profile(PROFILE.with_rows({"odd": row}, {"odd": 7}), tmp_path / "file")
    read = read_profile(tmp_path / "file")
    assert read.rows["odd"] == row
    assert read.flagged() == {"odd": ("throttled",)}


def _paths(content: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    return [path, *(inner for key, value in children for inner in _paths(value, (*path, key)))]


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
ANYTHING = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner))


@settings(deadline=None)
@given(st.data())
def test_whatever_is_changed_in_a_profile_it_is_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    file = tmp_path_factory.getbasetemp() / "profile.json"
    if not file.exists():
        save_profile(PROFILE, file)
    content = json.loads(file.read_text())
    changed = copy.deepcopy(content)
    *way, last = data.draw(st.sampled_from(_paths(content)[1:]))
    place: Any = changed
    for key in way:
        place = place[key]
    place[last] = data.draw(ANYTHING)
    # As texts: true == 1 and 1 == 1.0 in Python.
    if json.dumps(changed, sort_keys=True) == json.dumps(content, sort_keys=True):
        return
    with pytest.raises(BadInput) as caught:
        parse_profile(json.dumps(changed), "here")
    assert len(str(caught.value).splitlines()) <= 2
    str(caught.value).encode()


@settings(deadline=None)
@given(st.text() | ANYTHING.map(json.dumps))
def test_no_text_is_more_than_refused(text: str) -> None:
    with pytest.raises(BadInput):
        parse_profile(text, "here")


def test_saving_leaves_one_file(kept: Callable[[], tuple[Profile, Path]]) -> None:
    profile, path = kept()
    save_profile(profile, path)
    save_profile(profile.with_rows({"a": ROW}, {}), path)
    assert list(path.parent.iterdir()) == [path]
    assert kept()[0].rows == {"a": ROW}


def test_on_a_slowed_board_every_time_of_a_call_is_longer_and_counts_stay() -> None:
    plain = Measurement(median_ms=2.0, p95_ms=3.0, min_ms=1.0, runs=9, warmups=1, load_ms=5.0)
    paced = plain.model_copy(update={"paced_rate_hz": 30.0, "paced_median_ms": 4.0, "paced_p95_ms": 6.0})
    identity = DeviceIdentity(machine="m", cpu=None, cores=1, ram_bytes=None, kernel="k", libc=None, board=None)
    given = Profile(
        family="desk", device=identity, runtime="onnxruntime", runtime_version="1", threads=1, clock="wall"
    ).model_copy(update={"rows": {"plain": plain, "paced": paced}})
    rows = given.slowed(1.5).rows
    assert rows["plain"] == plain.model_copy(update={"median_ms": 3.0, "p95_ms": 4.5, "min_ms": 1.5})
    assert (rows["paced"].paced_median_ms, rows["paced"].paced_p95_ms, rows["paced"].paced_rate_hz) == (6.0, 9.0, 30.0)
