"""Stderr is ours: what others say there is in a log."""

import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from workplace import CHECKOUT

from toolkit.quiet import SAID, quiet

SCRIPT = """
import logging, os, subprocess, sys, warnings
from pathlib import Path
from toolkit.cli.chatter import our_progress
from toolkit.errors import BadInput
from toolkit.quiet import quiet

with our_progress(Path(sys.argv[1])) as progress:
    progress.start("load")
    print("the user's factory", file=sys.stderr)
    progress.end("load", 1.0, False)
    progress.start("export")
    print("a model's forward")
    warnings.warn("a warning")
    logging.getLogger("some.library").error("a record")
    os.write(2, b"from C\\n")
    subprocess.run(["sh", "-c", "echo from a child >&2"])
    with quiet():
        print("from an exporter")
    progress.note("one of ours")
    how = sys.argv[2]
    if how == "fails":
        raise BadInput("no such thing")
    if how in ("interrupted", "swept"):
        if how == "swept":
            Path(sys.argv[1]).unlink()
        raise KeyboardInterrupt
    progress.end("export", 1.0, False)
print("after", file=sys.stderr)
"""


def run(log: Path, how: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", SCRIPT, log, how], cwd=CHECKOUT, capture_output=True, text=True)


def test_a_user_sees_our_lines_and_the_log_holds_the_rest(tmp_path: Path) -> None:
    done = run(tmp_path / "log.txt", "ends")
    said = done.stderr.split("\n")
    assert [line.split()[-1] if line else "" for line in said] == [
        "load",
        "factory",
        "s",
        "export",
        "ours",
        "s",
        "after",
        "",
    ]
    assert done.stdout == ""
    log = (tmp_path / "log.txt").read_text()
    assert all(
        text in log
        for text in ("a model's forward", "a warning", "a record", "from C", "from a child", "from an exporter")
    )
    assert "factory" not in log
    assert "ours" not in log


def test_a_failure_names_the_log(tmp_path: Path) -> None:
    done = run(tmp_path / "log.txt", "fails")
    assert str(tmp_path / "log.txt") in done.stderr
    assert "no such thing" in done.stderr, "what is raised is told after it, on the real stderr"


@pytest.mark.parametrize("how", ["interrupted", "swept"])
def test_an_interrupted_run_leaves_no_log(tmp_path: Path, how: str) -> None:
    """Nor does it matter whether someone else had taken it away."""
    done = run(tmp_path / "log.txt", how)
    assert done.stderr.splitlines()[-1] == "KeyboardInterrupt"
    assert list(tmp_path.iterdir()) == []


def export_and_fail() -> None:
    with quiet():
        print("on stdout")
        print("on stderr", file=sys.stderr)
        warnings.warn("deprecated", stacklevel=1)
        raise ValueError("its own error")


def test_an_exporter_is_quiet_wherever_it_runs(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", SAID.name)
    with warnings.catch_warnings(record=True) as heard, pytest.raises(ValueError, match="its own error"):
        export_and_fail()
    assert capfd.readouterr() == ("", "")
    assert not heard
    assert all(text in caplog.text for text in ("on stdout", "on stderr", "deprecated"))
