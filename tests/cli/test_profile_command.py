"""`deploy profile`, and plans without a board: the real command line."""

import json
from pathlib import Path

import pytest
from workplace import WHAT, Workplace, make_workplace, one_object, refusal

from toolkit.profiling import Measurement, read_profile, save_profile
from toolkit.profiling.difference import compare_profiles
from toolkit.profiling.profile import DeviceIdentity, Profile
from toolkit.profiling.profile_layers import _BATCH

DEVICE = DeviceIdentity(machine="m", cpu=None, cores=1, ram_bytes=None, kernel="k", libc=None, board=None)


def row(ms: float, **fields: object) -> Measurement:
    return Measurement.model_validate(
        {"median_ms": ms, "p95_ms": ms, "min_ms": ms, "runs": 5, "warmups": 2, "load_ms": 0.0} | fields
    )


FIRST = Profile(
    family="t",
    device=DEVICE,
    runtime="r",
    runtime_version="1",
    threads=1,
    clock="wall",
    rows={"same": row(1.0), "slower": row(1.0), "much faster": row(3.0), "gone": row(1.0)},
)
SECOND = FIRST.model_copy(
    update={
        "runtime_version": "2",
        "rows": {
            "same": row(1.0),
            "slower": row(1.5, flags=["throttled"]),
            "much faster": row(1.0),
            "program " + "ab" * 32: row(1.0),
        },
    }
)


@pytest.fixture(scope="module")
def profiled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workplace, dict[str, object]]:
    """A working folder whose board was profiled by the command, and what that said."""
    place = make_workplace(tmp_path_factory.mktemp("place"))
    done = place.deploy("profile", *WHAT, "--json")
    assert done.returncode == 0, done.stderr
    return place, one_object(done.stdout)


def test_a_profile_is_kept_with_its_conditions(profiled: tuple[Workplace, dict[str, object]]) -> None:
    place, said = profiled
    kept = read_profile(Path(str(said["path"])))
    assert kept.model_dump(mode="json") == said["profile"]
    assert Path(str(said["path"])).parent == place.cache / "profiles"
    assert sum(key.startswith("program ") for key in kept.rows) == 2
    assert kept.process_bytes.keys() == kept.program_bytes.keys()
    assert {key for batch in kept.batches for key in batch.rows} == set(kept.rows)
    assert all(len(batch.rows) <= _BATCH and "load_1min" in batch.before for batch in kept.batches)
    assert all(set(row.flags) <= {"throttled", "drifted", "contended"} for row in kept.rows.values())


def test_what_was_profiled_is_planned_without_the_board(profiled: tuple[Workplace, dict[str, object]]) -> None:
    place, _ = profiled
    (place.root).rename(place.folder / "out of reach")
    place.root.touch()  # no folder can be made there: whoever asked the board would fail
    try:
        done = place.deploy("plan", *WHAT, "--offline", "--json")
    finally:
        place.root.unlink()
        (place.folder / "out of reach").rename(place.root)
    assert done.returncode == 0, done.stderr
    result = one_object(done.stdout)
    assert [stage["name"] for stage in result["stages"]] == ["load", "recall", "profile", "budget", "allocate"]
    assert any("no board was asked" in note for note in result["notes"])
    assert {each["source"] for each in result["allocation"]} <= {"measured", "interpolated", "predicted"}


def test_another_model_needs_the_board(profiled: tuple[Workplace, dict[str, object]]) -> None:
    place, _ = profiled
    done = place.deploy("plan", "--target", "desk", "--model", "my_package.small:tiny", *WHAT[4:], "--offline")
    assert done.returncode == 2
    assert "a whole model is not in its stored profile" in refusal(done)
    assert "deploy profile" in refusal(done)


def test_without_any_profile_offline_says_what_to_do(place: Workplace) -> None:
    done = place.deploy("plan", *WHAT, "--offline")
    assert done.returncode == 2
    assert "no profile" in refusal(done)
    assert "deploy profile --target desk --runtime onnxruntime" in refusal(done)


def test_an_estimate_is_called_one_everywhere(place: Workplace) -> None:
    what = ("--model", WHAT[3], "--task", WHAT[5])
    done = place.deploy("plan", "--target", "raspberry-pi-5", *what, "--estimate", "--json")
    assert done.returncode == 0, done.stderr
    result = one_object(done.stdout)
    assert {each["source"] for each in result["allocation"]} == {"estimate"}
    assert any(note.startswith("ESTIMATE from the datasheet") for note in result["notes"])
    assert {each["rank"] for each in result["allocation"]} == {None}
    assert result["peak_memory_bytes"]["predicted"] == result["peak_memory_bytes"]["dense"]
    assert not (place.cache / "profiles").exists()
    shown = place.deploy("plan", "--target", "raspberry-pi-5", *what, "--estimate")
    assert "ESTIMATE from the datasheet: nothing was measured" in shown.stdout
    refused = place.deploy("run", "--target", "raspberry-pi-5", *what, "--estimate")
    assert refused.returncode == 2
    without = place.deploy("plan", *WHAT, "--estimate")
    assert "target desk has no [datasheet]" in refusal(without)
    both = place.deploy("plan", *WHAT, "--estimate", "--offline")
    assert "exclude each other" in refusal(both)


def test_the_largest_change_comes_first_and_what_is_only_in_one_is_said() -> None:
    found = compare_profiles(FIRST, SECOND)
    assert [(each.signature, each.ratio) for each in found.changes] == [
        ("much faster", pytest.approx(1 / 3)),
        ("slower", 1.5),
        ("same", 1.0),
    ]
    assert found.changes[1].flags == ("throttled",)
    assert found.only_in_first == ("gone",)
    assert found.only_in_second == ("program " + "ab" * 32,)
    assert found.facts == {"runtime_version": ("1", "2")}


def test_two_files_or_stored_names_are_compared(place: Workplace) -> None:
    save_profile(FIRST, place.folder / "first.json")
    save_profile(SECOND, place.cache / "profiles" / "t-r-0123.json")
    done = place.deploy("profile", "--diff", "first.json", "t-r", "--json")
    assert done.returncode == 0, done.stderr
    said = one_object(done.stdout)
    assert [each["signature"] for each in said["changes"]] == ["much faster", "slower", "same"]
    assert said["facts"] == {"runtime_version": ["1", "2"]}
    shown = place.deploy("profile", "--diff", "first.json", "t-r").stdout
    assert shown.index("much faster") < shown.index("slower") < shown.index("same")
    assert "throttled" in shown
    assert "Only in the first: 1\n  gone" in shown
    assert "runtime version: 1 and 2" in shown


def test_what_cannot_be_compared_is_refused(place: Workplace) -> None:
    save_profile(FIRST, place.folder / "first.json")
    unknown = place.deploy("profile", "--diff", "first.json", "no-such")
    assert "no stored profile of that name" in refusal(unknown)
    (place.folder / "second.json").write_text((place.folder / "first.json").read_text().replace("3.0", "2.0"))
    edited = place.deploy("profile", "--diff", "first.json", "second.json")
    assert edited.returncode == 2
    assert "second.json was changed after it was measured" in refusal(edited)
    cut = json.dumps(FIRST.model_dump(mode="json"))[:100]
    (place.folder / "third.json").write_text(cut)
    assert "third.json is damaged" in refusal(place.deploy("profile", "--diff", "first.json", "third.json"))


def test_a_profile_budget_that_is_no_time_is_refused(place: Workplace) -> None:
    done = place.deploy("profile", *WHAT, "--set", "profiling.budget=soon")
    assert done.returncode == 2
    assert "soon" in refusal(done)
