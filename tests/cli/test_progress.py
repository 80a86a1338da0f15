"""Lines of a log: never silent for long, whatever a stage does."""

import io

from rich.console import Console

from toolkit.cli.progress import Lines, progress_on


class Clock:
    """Seconds that pass when told to."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def lines() -> tuple[Lines, Clock, io.StringIO]:
    clock, stream = Clock(), io.StringIO()
    return Lines(Console(file=stream, width=80), every_s=10.0, clock=clock), clock, stream


def test_a_stage_that_goes_on_is_heard_of_every_ten_seconds() -> None:
    progress, clock, stream = lines()
    progress.start("compress")
    for second in range(1, 36):
        clock.now_s = float(second)
        progress.advance(second, 400)
        progress.remind()
    said = [line.strip() for line in stream.getvalue().splitlines()]
    assert said == [
        "· compress",
        "compress: 10 of 400 after 10 s",
        "compress: 20 of 400 after 20 s",
        "compress: 30 of 400 after 30 s",
    ]


def test_one_that_cannot_tell_its_steps_is_heard_of_too() -> None:
    progress, clock, stream = lines()
    progress.start("allocate")
    clock.now_s = 12.0
    progress.remind()
    assert stream.getvalue().splitlines()[-1].strip() == "allocate: after 12 s"


def test_whatever_else_is_said_puts_it_off() -> None:
    progress, clock, stream = lines()
    progress.start("profile")
    clock.now_s = 9.0
    progress.note("x" * 200)
    clock.now_s = 18.0
    progress.remind()
    assert len(stream.getvalue().splitlines()) == 2, "a note is one line however long"
    progress.end("profile", 18.0, False)
    clock.now_s = 100.0
    progress.remind()
    assert len(stream.getvalue().splitlines()) == 3, "nothing goes on between stages"


def test_a_terminal_gets_a_bar_and_a_log_gets_lines() -> None:
    terminal, log = io.StringIO(), io.StringIO()
    for console in (Console(file=terminal, force_terminal=True), Console(file=log)):
        with progress_on(console) as progress:
            progress.start("load")
            progress.advance(1, 2)
    assert log.getvalue() == "· load\n"
    assert "· load" not in terminal.getvalue()
    assert "1/2" in terminal.getvalue()
