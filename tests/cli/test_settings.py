"""Settings come from defaults, a file and `--set`, the later winning; what is wrong in them is told all at once."""

import json
from contextlib import suppress
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.cli.app import app
from toolkit.cli.configuration import read_settings
from toolkit.cli.errors import run_cli
from toolkit.cli.moved import MOVED
from toolkit.compression import ALLOCATORS, CURVES
from toolkit.errors import BadInput
from toolkit.methods import METHODS
from toolkit.recipe import TASK, Recipe, Trained, Weighing
from toolkit.request import Request
from toolkit.settings import all_settings

NAMES = [each.name for each in all_settings()]


def refused(file: Path | None, *sets: str) -> BadInput:
    with pytest.raises(BadInput) as caught:
        read_settings(file, sets)
    return caught.value


def test_defaults_are_those_of_a_request() -> None:
    settings, request = read_settings(None, ()), Request()
    assert settings.allocation.allocator == request.allocator
    assert settings.compression.curve == request.curve
    assert settings.recovery.rate == request.recovery_rate
    assert settings.recovery.distill == request.distill
    assert settings.adaptation.steps == request.adapt_steps


def test_a_set_wins_over_the_file_and_the_file_over_defaults(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[recovery]\nsteps = 7\nrate = 5e-3\ndistill = "kd+beta"\n[compression]\nchannels = true\n')
    settings = read_settings(file, ["recovery.steps=8", "recovery.steps=9", "profiling.budget=60s"])
    assert settings.recovery.steps == 9
    assert settings.recovery.rate == 5e-3
    assert settings.recovery.distill == Recipe(("kd",), "beta")
    assert settings.compression.channels
    assert settings.profiling.budget == 60
    assert settings.compression.curve == "jactus"


def test_every_error_of_both_is_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("recovery = 3\n[allocation]\npolicy = 3\nallocater = 'exact'\n[adaptation]\nsteps = true\n")
    error = refused(file, "compression.curve=bent", "profiling.budget=60", "nothing")
    for part in (
        "recovery is a section",
        "allocation.policy cannot be 3",
        "did you mean allocation.allocator?",
        "adaptation.steps cannot be True",
        "compression.curve cannot be 'bent'",
        "no unit",
        "'nothing' has no value",
    ):
        assert part in error.what
    assert str(file) in str(error.where)
    assert "--set" in str(error.where)


@pytest.mark.parametrize("written", ['"0.5,0.25"', "[0.5, 0.25]"])
def test_numbers_of_channels_are_a_list_or_joined_with_commas(tmp_path: Path, written: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(f"[task]\nmean = {written}\nstd = 2\n")
    task = read_settings(file, ()).task
    assert (task.mean, task.std) == ((0.5, 0.25), (2.0,))
    assert read_settings(file, ["task.mean=0.5"]).task.mean == (0.5,)


@pytest.mark.parametrize("value", ["true", "[]", "[[1]]", "[1, true]", "nan", "inf", "1" + "0" * 400, '"a"', '"1;2"'])
def test_what_is_no_number_of_a_channel_is_refused(tmp_path: Path, value: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(f"[task]\nmean = {value}\n")
    assert "task.mean cannot be" in refused(file).what
    assert "it takes numbers above 0" in refused(None, "task.std=1,0").what


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "-1", "2", "much", ""])
def test_a_number_that_cannot_be_is_answered_with_what_can(tmp_path: Path, value: str) -> None:
    assert "recovery.rate cannot be" in refused(None, f"recovery.rate={value}").what
    assert "it takes a number, 1e-06 to 1" in refused(None, f"recovery.rate={value}").what
    assert "it takes a whole number, at least 0" in refused(None, f"recovery.steps={value}.5").what


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("recovery.rat", "recovery.rate"),
        ("recovery-rate", "recovery.rate"),
        ("rate", "recovery.rate"),
        ("allocator", "allocation.allocator"),
        ("steps", "recovery.steps or adaptation.steps"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(said: str, meant: str) -> None:
    assert f"did you mean {meant}?" in refused(None, f"{said}=1").what


@pytest.mark.parametrize("text", ["[recovery", "a = 1\na = 2", "\0", "x = " + "[" * 5000])
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "broken.toml"
    file.write_text(text)
    for path, what in ((file, "is no TOML"), (tmp_path / "no.toml", "cannot be read"), (tmp_path, "cannot be read")):
        error = refused(path)
        assert error.where == f"--config {path}"
        assert error.what.startswith(what)


@given(name=st.one_of(st.sampled_from(NAMES), st.text(max_size=20)), value=st.text(max_size=20))
def test_no_text_ends_in_anything_but_settings_or_a_refusal(name: str, value: str) -> None:
    with suppress(BadInput):
        assert read_settings(None, [f"{name}={value}"])


def test_what_is_listed_is_what_there_is() -> None:
    names = {setting: {each.name for each in choices} for setting, choices in METHODS.items()}
    assert set(METHODS) <= set(NAMES)
    assert names["compression.curve"] == set(CURVES)
    assert names["allocation.allocator"] == {*ALLOCATORS, "policy", "search"}
    assert names["recovery.distill"] >= {TASK, *get_args(Trained), *get_args(Weighing)} - {"fixed"}
    for setting in ("compression.curve", "allocation.allocator"):
        for choice in names[setting]:
            read_settings(None, [f"{setting}={choice}"])


def test_methods_are_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(app, ["methods", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in found["settings"]] == NAMES
    assert set(found["methods"]) == set(METHODS)
    defaults = {each["name"]: each["default"] for each in found["settings"]}
    assert (defaults["adaptation.steps"], defaults["recovery.steps"]) == (None, None)


def test_an_interruption_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    assert run_cli(interrupted, ["run", "--json"]) == 130  # type: ignore[arg-type]
    said = {"error": "interrupted", "where": None, "next": "Run the same command again to go on."}
    assert json.loads(capsys.readouterr().out) == said


@pytest.mark.parametrize("option", MOVED)
@pytest.mark.parametrize("verb", ["run", "plan"])
def test_an_option_of_before_is_answered_with_its_setting(
    verb: str, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert MOVED[option] in NAMES
    assert run_cli(app, [verb, option, "5"]) == 2
    value = "true" if option == "--channels" else "5"
    assert f"--set {MOVED[option]}={value}" in capsys.readouterr().err
    assert run_cli(app, [verb, f"{option}=5", "--json"]) == 2
    assert MOVED[option] in json.loads(capsys.readouterr().out)["next"]


def test_help_fits_two_screens(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run_cli(app, ["run", "--help"]) == 0
    assert len(capsys.readouterr().out.splitlines()) <= 48
