"""One regression test with samples as given: what it says, records and leaves behind."""

from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from testing.made import counted_samples

from toolkit.errors import BadInput, BoardError
from toolkit.testing.openmetrics import Regression, openmetrics, write_openmetrics
from toolkit.testing.options import REQUIRE
from toolkit.testing.regression import regress
from toolkit.testing.samples import Samples

Done = tuple[list[Regression], dict[str, object]]


@pytest.fixture(autouse=True)
def _no_board_is_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(REQUIRE, raising=False)


def check(folder: Path, ms: float, *, update: bool = False, done: list[Regression] | None = None) -> Done:
    found: list[Regression] = [] if done is None else done
    recorded: dict[str, object] = {}
    regress("digits", counted_samples(ms, 0), folder, update=update, done=found, record=recorded.__setitem__)
    return found, recorded


@pytest.mark.parametrize("required", ["", "1"])
def test_without_a_baseline_it_skips_loudly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, required: str) -> None:
    """Where a board is required, too: a new kernel makes another board of it."""
    monkeypatch.setenv(REQUIRE, required)
    with pytest.raises(pytest.skip.Exception, match=r"NO BASELINE of digits .* NOT compared.*--update-baselines"):
        check(tmp_path, 24.0)


def test_a_baseline_of_another_version_is_named(tmp_path: Path) -> None:
    older = counted_samples(24.0, 0).model_copy(update={"runtime_version": "1.30.0"})
    regress("digits", older, tmp_path, update=True, done=[], record=lambda *_: None)
    with pytest.raises(
        pytest.skip.Exception, match=r"others, not for this device or version: digits\.onnxruntime-1\.30"
    ):
        check(tmp_path, 24.0)


def test_what_is_slower_fails_and_says_by_how_much_since_when_and_what_next(tmp_path: Path) -> None:
    check(tmp_path, 24.0, update=True)
    with pytest.raises(pytest.fail.Exception) as caught:
        check(tmp_path, 24.72)
    said = str(caught.value)
    for part in (
        "digits on desk is 3.0% slower than its baseline",
        "24.7 ms (instruction clock, median of 5 rounds)",
        "made 2026-01-02T03:04:05+00:00 by toolkit ",
        "with onnxruntime 1.31.1",
        "change    +3.0% [+",
        "allowed 1% on the median",
        "--update-baselines",
    ):
        assert part in said


def test_what_is_faster_passes_with_a_warning(tmp_path: Path) -> None:
    check(tmp_path, 24.0, update=True)
    with pytest.warns(UserWarning, match=r"5\.0% faster than its baseline.*\n(.*\n)+Keep the gain"):
        check(tmp_path, 22.8)


def test_a_disturbed_measurement_is_said_to_be(tmp_path: Path) -> None:
    check(tmp_path, 24.0, update=True)
    hot = counted_samples(24.72, 0).model_copy(update={"disturbed": ("cpu at or above 80 °C",)})
    with (
        pytest.warns(UserWarning, match=r"disturbed on desk \(cpu at or above 80 °C\)"),
        pytest.raises(pytest.fail.Exception, match=r"  disturbed cpu at or above 80 °C\n"),
    ):
        regress("digits", hot, tmp_path, update=False, done=[], record=lambda *_: None)


def test_no_baseline_is_made_of_a_disturbed_instruction_count(tmp_path: Path) -> None:
    busy = counted_samples(44.0, 0).model_copy(update={"disturbed": ("other programs had 46% of the processor",)})
    with pytest.warns(UserWarning, match="disturbed"), pytest.raises(BoardError, match="let the board cool down or"):
        regress("digits", busy, tmp_path, update=True, done=[], record=lambda *_: None)
    assert not list(tmp_path.iterdir())


def test_properties_say_latency_baseline_and_ratio(tmp_path: Path) -> None:
    check(tmp_path, 24.0, update=True)
    _, recorded = check(tmp_path, 24.1)
    assert list(recorded) == ["digits.latency_ms", "digits.baseline_ms", "digits.ratio"]
    assert recorded["digits.ratio"] == pytest.approx(24.1 / 24)


def test_one_name_twice_is_refused(tmp_path: Path) -> None:
    done, _ = check(tmp_path, 24.0, update=True)
    with pytest.raises(BadInput, match="two regressions 'digits'"):
        check(tmp_path, 24.0, done=done)


def test_metrics_are_openmetrics(tmp_path: Path) -> None:
    done, _ = check(tmp_path, 24.0, update=True)
    odd = Regression("tiny", _of(counted_samples(1.0, 0), 'a "quoted"\\target'), None, None)
    write_openmetrics(tmp_path / "metrics.txt", [*done, odd])
    families = {each.name: each for each in text_string_to_metric_families((tmp_path / "metrics.txt").read_text())}
    latency, baseline, ratio = families.values()
    assert [each.type for each in families.values()] == ["gauge"] * 3
    assert [each.unit for each in families.values()] == ["seconds", "seconds", "ratio"]
    assert [each.labels["name"] for each in latency.samples] == ["digits", "tiny"]
    assert latency.samples[0].labels == {
        "target": "desk",
        "name": "digits",
        "runtime": "onnxruntime",
        "clock": "instructions",
    }
    assert latency.samples[1].labels["target"] == 'a "quoted"\\target'
    assert latency.samples[0].value == pytest.approx(0.024, rel=0.01)
    assert [each.value for each in baseline.samples] == [latency.samples[0].value]
    assert [each.value for each in ratio.samples] == [1.0]


def test_no_metrics_are_openmetrics_too() -> None:
    assert all(not family.samples for family in text_string_to_metric_families(openmetrics([])))


def _of(samples: Samples, target: str) -> Samples:
    return samples.model_copy(update={"target": target})
