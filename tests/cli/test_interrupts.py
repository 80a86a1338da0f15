"""A signal that falls where its exception is dropped, by Python or a library, ends the run all the same."""

import signal
import sys
import time
import weakref
from collections.abc import Iterator
from contextlib import suppress

import pytest
import typer

from toolkit.cli.console import stderr
from toolkit.cli.errors import run_cli
from toolkit.cli.progress import progress_on


class Held:
    """Something whose end is watched."""


@pytest.fixture
def app() -> Iterator[typer.Typer]:
    hook, handlers = sys.unraisablehook, {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    made = typer.Typer()
    made.callback()(lambda: None)  # a verb must be named, even the only one

    @made.command()
    def run(number: int) -> None:
        if number == 0:
            with progress_on(stderr()) as progress:
                progress.start("nothing came")
            return
        held = Held()
        watched = weakref.ref(held, lambda _: signal.raise_signal(number))
        del held
        assert watched() is None
        until = time.monotonic() + 60
        while time.monotonic() < until:
            time.sleep(0.01)

    yield made
    sys.unraisablehook = hook
    for each, handler in handlers.items():
        signal.signal(each, handler)


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_that_a_callback_swallowed(
    app: typer.Typer, capsys: pytest.CaptureFixture[str], number: signal.Signals, exit_code: int
) -> None:
    assert run_cli(app, ["run", str(number.value)]) == exit_code
    said = capsys.readouterr().err
    assert "Interrupted." in said
    assert "Traceback" not in said
    assert "ignored" not in said


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_that_a_library_swallowed(
    app: typer.Typer, capsys: pytest.CaptureFixture[str], number: signal.Signals, exit_code: int
) -> None:
    @app.command()
    def work() -> None:
        with progress_on(stderr()) as progress:
            progress.start("first")
            with suppress(BaseException):
                signal.raise_signal(number)
            progress.end("first", 0.0, False)
            progress.start("second")

    assert run_cli(app, ["work"]) == exit_code
    said = capsys.readouterr().err
    assert "· first" in said
    assert "✓ first" not in said
    assert "second" not in said
    assert run_cli(app, ["run", "0"]) == 0  # the next run is not the one that was interrupted


def test_what_else_destructors_raise_is_still_printed(app: typer.Typer, capsys: pytest.CaptureFixture[str]) -> None:
    class Broken:
        def __del__(self) -> None:
            raise ValueError("of a library")

    other = typer.Typer()

    @other.command()
    def run() -> None:
        Broken()

    before = [sys.unraisablehook, *map(signal.getsignal, (signal.SIGINT, signal.SIGTERM))]
    assert run_cli(other, []) == 0
    assert "ValueError: of a library" in capsys.readouterr().err
    assert [sys.unraisablehook, *map(signal.getsignal, (signal.SIGINT, signal.SIGTERM))] == before
