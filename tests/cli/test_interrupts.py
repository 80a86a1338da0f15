"""A signal that falls into a destructor, whose exceptions Python drops, ends the run all the same."""

import signal
import sys
import time
import weakref
from collections.abc import Iterator

import pytest
import typer

from toolkit.cli.errors import run_cli


class Held:
    """Something whose end is watched."""


@pytest.fixture
def app() -> Iterator[typer.Typer]:
    hook, handler = sys.unraisablehook, signal.getsignal(signal.SIGTERM)
    made = typer.Typer()

    @made.command()
    def run(number: int) -> None:
        held = Held()
        watched = weakref.ref(held, lambda _: signal.raise_signal(number))
        del held
        assert watched() is None
        until = time.monotonic() + 60
        while time.monotonic() < until:
            time.sleep(0.01)

    yield made
    sys.unraisablehook = hook
    signal.signal(signal.SIGTERM, handler)


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_that_a_callback_swallowed(
    app: typer.Typer, capsys: pytest.CaptureFixture[str], number: signal.Signals, exit_code: int
) -> None:
    assert run_cli(app, [str(number.value)]) == exit_code
    said = capsys.readouterr().err
    assert "Interrupted." in said
    assert "Traceback" not in said
    assert "ignored" not in said


def test_what_else_destructors_raise_is_still_printed(app: typer.Typer, capsys: pytest.CaptureFixture[str]) -> None:
    class Broken:
        def __del__(self) -> None:
            raise ValueError("of a library")

    other = typer.Typer()

    @other.command()
    def run() -> None:
        Broken()

    before = sys.unraisablehook
    assert run_cli(other, []) == 0
    assert "ValueError: of a library" in capsys.readouterr().err
    assert sys.unraisablehook is before
