"""The first line of a deployment: what it does, and how long that takes as far as is known."""

from dataclasses import replace
from pathlib import Path

import pytest

from toolkit.request import Request
from toolkit.stages import forecast, remember
from toolkit.targets import Target, load_target


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Target:
    monkeypatch.setenv("EDGE_DEPLOY_CACHE", str(tmp_path))
    return load_target("host")


def test_of_the_bundled_example_it_is_known_beforehand(host: Target) -> None:
    assert "four minutes" in forecast(Request(), host)


def test_of_another_model_nothing_is_promised_before_it_ran(host: Target) -> None:
    assert " s or less" not in forecast(Request(model="mine:model"), host)


def test_afterwards_it_is_what_the_last_time_took(host: Target) -> None:
    remember(Request(), host, 83.4)
    assert "83 s or less" in forecast(Request(), host)
    assert "83 s" not in forecast(replace(Request(), seed=1), host)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"seconds": null}', "not json"])
def test_a_damaged_memory_is_none(host: Target, tmp_path: Path, content: str) -> None:
    remember(Request(), host, 83.4)
    [file] = (tmp_path / "durations").iterdir()
    file.write_text(content)
    assert "83 s" not in forecast(Request(), host)
