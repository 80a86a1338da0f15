"""How often and how fast applications call: counted on the board, read by the host, and nothing else is kept."""

import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from serving import accepted, unlearn
from workplace import Workplace, copy_workplace, one_object

import edge_runtime
from edge_runtime.counters import CLASSES, SHORTEST_US, Counters, class_of
from toolkit.devices.counters import parse_load


@pytest.fixture
def served(deployed_place: Workplace, tmp_path: Path) -> Workplace:
    place = copy_workplace(deployed_place, tmp_path / "copy")
    unlearn(place)
    return place


def test_top_shows_what_a_process_has_called(served: Workplace) -> None:
    x, _ = accepted(served)
    np.save(served.folder / "x.npy", x)
    script = (
        "import edge_runtime, numpy\nx, model = numpy.load('x.npy'), edge_runtime.load()\n"
        "for _ in range(50): model(x[0])\nmodel(x[:3])\n"
        "try: model(x[0, 0])\nexcept edge_runtime.EdgeRuntimeError: pass\n"
    )
    path = {"PYTHONPATH": str(served.root / "edge_runtime.pyz"), "PATH": os.environ["PATH"]}
    done = subprocess.Popen(
        [sys.executable, "-c", script], cwd=served.folder, env={**path, "EDGE_DEPLOY_ROOT": str(served.root)}
    )
    assert done.wait() == 0
    [caller] = one_object(served.deploy("top", "--target", "desk", "--json").stdout)["callers"]
    assert (caller["pid"], caller["alive"], caller["calls"], caller["refused"]) == (done.pid, False, 53, 1)
    assert caller["release"] == served.releases()["current"]
    assert 0 < caller["p50_ms"] <= caller["p95_ms"] <= caller["p99_ms"] <= 1.2 * caller["longest_ms"]
    assert 1 / 3 <= caller["sure"] <= 1
    assert 1 / 3 <= caller["accepted_sure"] <= 1
    shown = served.deploy("top", "--target", "desk", COLUMNS="200").stdout
    assert f"{done.pid}, ended" in shown
    assert "53" in shown


def test_a_board_that_nobody_calls(served: Workplace) -> None:
    assert "No application has called it" in served.deploy("top", "--target", "desk", COLUMNS="200").stdout
    assert one_object(served.deploy("top", "--target", "desk", "--json").stdout)["callers"] == []


def test_threads_lose_no_count(served: Workplace) -> None:
    model, (x, _) = edge_runtime.load(str(served.root)), accepted(served)
    threads = [threading.Thread(target=lambda: [model(x[0]) for _ in range(100)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [caller] = one_object(served.deploy("top", "--target", "desk", "--json").stdout)["callers"]
    assert (caller["calls"], caller["alive"]) == (400, True)
    [file] = (served.root / "counters").iterdir()
    lines = file.read_text().splitlines()
    counted = sum(int(line.split()[1]) for line in lines if line.startswith("times_"))
    assert counted == 400
    assert all(
        line.split()[1].isdecimal() for line in lines[4:]
    )  # of what went in and came out, numbers of calls alone


def test_where_nothing_can_be_written_nothing_is_counted_and_a_warning_says_so(served: Workplace) -> None:
    (served.root / "counters").write_text("a file of that name")
    x, expected = accepted(served)
    with pytest.warns(UserWarning, match="calls are not counted for `deploy top`"):
        model = edge_runtime.load(str(served.root))
    np.testing.assert_allclose(model(x), expected, rtol=1e-4, atol=1e-5)


def test_what_ended_days_ago_is_swept(tmp_path: Path) -> None:
    folder = tmp_path / "counters"
    folder.mkdir()
    for name, days in (("999999999.0", 3), ("999999998.0", 0), (f"{os.getpid()}.99", 3)):
        (folder / name).touch()
        os.utime(folder / name, (0, (folder / name).stat().st_mtime - days * 86_400))
    Counters(str(tmp_path), "d", None)
    left = {path.name for path in folder.iterdir()}
    assert {"999999998.0", f"{os.getpid()}.99"} < left
    assert "999999999.0" not in left


@given(st.integers(1, 10**9), st.integers(1, 10**9))
def test_longer_times_are_in_no_earlier_class(first: int, second: int) -> None:
    shorter, longer = sorted((first, second))
    assert 0 <= class_of(shorter) <= class_of(longer) < CLASSES


@given(st.lists(st.floats(SHORTEST_US * 1e-6, 10), min_size=1, max_size=60))
def test_percentiles_are_right_to_a_tenth(seconds: list[float]) -> None:
    with tempfile.TemporaryDirectory() as root:
        counters = Counters(root, "d", None)
        for each in seconds:
            counters.called(each, np.zeros(3, np.float32))
        [file] = Path(root, "counters").iterdir()
        [caller] = parse_load("100\nalive\n" + file.read_text()).callers
    assert caller.calls == len(seconds)
    assert caller.longest_ms == pytest.approx(1e3 * max(seconds), abs=1e-3)
    for share, found in ((0.5, caller.p50_ms), (0.95, caller.p95_ms), (0.99, caller.p99_ms)):
        expected = 1e3 * float(np.quantile(seconds, share, method="inverted_cdf"))
        assert found == pytest.approx(expected, rel=0.1)


@given(st.text())
def test_nonsense_is_no_caller(text: str) -> None:
    assert parse_load(f"5\nalive\n{text}").callers == ()


def test_the_hottest_zone_is_shown() -> None:
    assert parse_load("1700000000\ntemperature 61250\n").temperature_c == 61.25
    assert parse_load("1700000000\n").temperature_c is None
