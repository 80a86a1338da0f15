"""What the serial transport makes of a console's line, against what the line itself carries, and on a bad one.

    PYTHONPATH=. python benchmarks/serial_line.py            # two to five minutes
    PYTHONPATH=. python benchmarks/serial_line.py --quick    # smaller files, one round

Payload travels as base64, so that 3/4 of a line's rate is all that any shell can get through it; a figure is the
payload's rate over that. The emulated board (`deploy lab up emulated-pi`) says nothing of its line's rate: it is
measured in turns with ours, by the same loop on the board throwing away, or printing, plain bytes. The paced line is a
terminal slowed down to 115200 baud, whose rate is known; the bad one damages a byte in 1 % of its lines.
"""

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from record import Figure, write

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from consoles import Console, Noise

from toolkit import lab
from toolkit.devices.serial import SerialDevice, files
from toolkit.devices.serial.frames import ReplyParser
from toolkit.devices.serial.line import Line, LineLost
from toolkit.devices.serial.login import Credentials
from toolkit.devices.serial.session import EVAL, Session
from toolkit.errors import BoardError
from toolkit.targets import SerialPlace, expand_path, load_target

_TARGET = "emulated-console"
_BASE64 = 3 / 4
_GOAL = 0.6
_UART_RATE = 11_520  # bytes per second at 115200 baud: ten bits each
_SEED = 1
_THERE = "/tmp/of serial_line.py"
_PATIENCE_S = 60.0

Rows = list[dict[str, Any]]


def main() -> None:
    """Measure, print, write results/serial_line.json (or serial_line-quick.json)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="smaller files, one round")
    quick = parser.parse_args().quick
    started = time.monotonic()
    figures: dict[str, Figure] = {}
    rows: Rows = []
    with tempfile.TemporaryDirectory() as folder:
        for part in (_emulated, _paced, _spoiled):
            found, made = part(Path(folder), quick)
            figures |= found
            rows += made
    write("serial_line-quick" if quick else "serial_line", figures, rows, seeds=[_SEED], started=started)


def _emulated(folder: Path, quick: bool) -> tuple[dict[str, Figure], Rows]:
    """The emulated board's console, our turns next to the bare line's."""
    size, rounds = (100_000, 1) if quick else (400_000, 3)
    lab.up("emulated-pi", on_step=print)
    asked = lab.reached(load_target(_TARGET)).place
    assert isinstance(asked, SerialPlace)
    assert asked.password_file
    password = expand_path(asked.password_file).read_text(encoding="utf-8").partition("\n")[0]
    line = Line(asked.device, asked.baud, _TARGET)
    session = Session(line, Credentials(asked.user, password), asked.baud, _TARGET)
    sent, back = _random_file(folder, size), folder / "back"
    rows: Rows = []
    try:
        for turn in range(rounds):
            row: dict[str, Any] = {"line": "emulated console", "round": turn, "bytes": size}
            for verb, transfer, bare, plain in (
                ("push", lambda: files.push(session, sent, _THERE, _TARGET), _raw_in, size // 4),
                ("pull", lambda: files.pull(session, _THERE, back, _TARGET), _raw_out, size),
            ):
                before = bare(session, line, plain)
                row[f"{verb}_bytes_per_s"] = _rate(size, transfer)
                # From both sides, since what else the machine does comes and goes.
                row[f"bare_{verb}_bytes_per_s"] = round(
                    statistics.harmonic_mean((before, bare(session, line, plain))), 1
                )
            row["intact"] = back.read_bytes() == sent.read_bytes()
            rows.append(row)
        session.evaluate(f"rm -f '{_THERE}'")
    finally:
        with suppress(BoardError):
            session.close()
        line.close()
    figures = {}
    for verb in ("push", "pull"):
        for row in rows:
            row[f"{verb}_share"] = round(row[f"{verb}_bytes_per_s"] / (row[f"bare_{verb}_bytes_per_s"] * _BASE64), 3)
        share = statistics.median(row[f"{verb}_share"] for row in rows)
        how = (
            f"{size // 1000} kB, rate over 3/4 of the bare line's before and after; median of {rounds} rounds in one "
            "session, whose first has yet to find out how long pieces may be"
        )
        figures[f"emulated_{verb}_share"] = _share(share, all(row["intact"] for row in rows), how)
    return figures, rows


def _paced(folder: Path, quick: bool) -> tuple[dict[str, Figure], Rows]:
    """A shell behind a line of 115200 baud."""
    size = 40_000 if quick else 100_000
    rates, intact = _there_and_back(folder, size, bytes_per_s=_UART_RATE)
    how = f"{size // 1000} kB at 115200 baud, rate over 3/4 of {_UART_RATE} B/s"
    shares = {verb: rate / (_UART_RATE * _BASE64) for verb, rate in rates.items()}
    figures = {f"paced_{verb}_share": _share(share, intact, how) for verb, share in shares.items()}
    row = {f"{verb}_bytes_per_s": rate for verb, rate in rates.items()}
    return figures, [{"line": "115200 baud", "bytes": size, **row, "intact": intact}]


def _spoiled(folder: Path, quick: bool) -> tuple[dict[str, Figure], Rows]:
    """A shell behind a line that damages one byte in 1 % of lines, as fast as a terminal can."""
    size = 100_000 if quick else 1_000_000
    noises = {"to_board": Noise(_SEED, damaged=0.01), "to_host": Noise(_SEED + 1, damaged=0.01)}
    rates, intact = _there_and_back(folder, size, **noises)
    how = f"{size // 1000} kB pushed and pulled, one byte damaged in 1 % of lines both ways; 1 is every byte right"
    row: dict[str, Any] = {f"{verb}_s": round(size / rate, 1) for verb, rate in rates.items()}
    for way, noise in noises.items():
        row |= {f"lines_{way}": noise.lines, f"damaged_{way}": noise.spoiled}
    damaged = all(noise.spoiled for noise in noises.values())
    figures = {"spoiled_line_intact": Figure(float(intact), "1", intact and damaged, how)}
    return figures, [{"line": "1 % of lines damaged", "bytes": size, **row, "intact": intact}]


def _there_and_back(folder: Path, size: int, **line: Any) -> tuple[dict[str, float], bool]:
    """Bytes per second of a push and a pull behind such a line; whether both ends hold the same bytes after each."""
    spoil = {way: line.pop(way) for way in ("to_board", "to_host") if way in line}
    bench = Console(["/bin/sh", "-i"], folder, **line)
    try:
        device = SerialDevice(bench.target())
        sent, there, back = _random_file(folder, size), folder / "there", folder / "back"
        for way, noise in spoil.items():  # once it is connected: the figure is of files
            setattr(bench, way, noise)
        rates = {"push": _rate(size, lambda: device.push(sent, str(there)))}
        rates["pull"] = _rate(size, lambda: device.pull(str(there), back))
        bench.to_board = bench.to_host = bytes
        device.close()
        return rates, sent.read_bytes() == there.read_bytes() == back.read_bytes()
    finally:
        bench.close()


def _raw_in(session: Session, line: Line, size: int) -> float:
    """Bytes per second that the board takes: read by what reads our pieces, and thrown away."""
    id = session.send(EVAL, 0, 0, session.codec.encode(b"echo >&5; R %d </dev/tty >/dev/null" % size))
    line.read(_PATIENCE_S)
    started = time.monotonic()
    line.write((b"A" * 199 + b"\n") * (size // 200))
    reply = session.reply([id], _PATIENCE_S)
    if reply is None or reply.value:
        raise LineLost("the board did not take all of the plain bytes", where=_TARGET, next="Run again.")
    return size / (time.monotonic() - started)


def _raw_out(session: Session, line: Line, size: int) -> float:
    """Bytes per second that the board prints, from the first that arrives to the last."""
    session.send(EVAL, 0, 0, session.codec.encode(b"head -c %d /dev/zero | tr '\\0' A >&5" % size))
    parser, came, first, last = ReplyParser(), 0, 0.0, 0.0
    while data := line.read(_PATIENCE_S):
        now = time.monotonic()
        first, last, came = first or now, now if b"A" in data else last, came + data.count(b"A")
        if list(parser.feed(data)):
            break
    if came != size:
        raise LineLost(f"{came} of {size} plain bytes arrived", where=_TARGET, next="Run again.")
    return size / (last - first)


def _rate(size: int, transfer: Callable[[], None]) -> float:
    started = time.monotonic()
    transfer()
    return round(size / (time.monotonic() - started), 1)


def _random_file(folder: Path, size: int) -> Path:
    path = folder / "sent"
    path.write_bytes(random.Random(_SEED).randbytes(size))
    return path


def _share(value: float, intact: bool, how: str) -> Figure:
    return Figure(value, f">= {_GOAL}", intact and value >= _GOAL, how)


if __name__ == "__main__":
    main()
