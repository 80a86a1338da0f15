"""Commands in the background of the board, their output fetched by offset while they run."""

import io
import shlex
import time
from collections.abc import Callable
from contextlib import suppress

from toolkit.devices.device import Completed
from toolkit.devices.serial.files import fetch, store
from toolkit.devices.serial.frames import check_number
from toolkit.devices.serial.line import LineLost
from toolkit.devices.serial.session import READ, Session
from toolkit.devices.streams import deliver_lines
from toolkit.errors import BoardError

_SHORT = 2000  # bytes that travel along with a request or an answer
_FIRST_LOOK_S, _LONGEST_LOOK_S = 0.1, 1.0  # a look costs the board some processes
_UNHEARD_S = 10.0  # the word of a command's end may get lost
_NEWS = f"{{0 0 0 0 0 {check_number(0, 0, 0, 0, 0)}:}}"
_RUNNING, _FULL = 9, 8

_MAKE = 'w=$d/$T.{number}. g=$w/o pos=-1 f=$w/c at=0; mkdir "$w" && printf "" >"$w/o" && {write}'
# Both streams go through pipes, so that the end is when all that holds them has ended.
_START = """({{ {{ {{
(EDGE_DEPLOY_RUN=${{w##*/}}; export EDGE_DEPLOY_RUN; exec sh "$w/c" >&3 2>&6 3>&- 6>&-)
echo $? >"$w/s"; }} 6>&1 2>/dev/null |
cat >"$w/e" 3>&-; }} 3>&1 | cat >"$w/o"; }} 4>&- 5>&-
mv "$w/s" "$w/done"; printf '{news}\\n' >&5) >/dev/null 2>&1 &
"""
_COLLECT = """[ -f "$w/done" ] || return 9
read -r s <"$w/done" || return 8
set -- $(wc -c <"$w/o") $(wc -c <"$w/e")
echo $s $1 $2
[ $(($1-{have}+$2)) -le {short} ] || return 0
{{ [ {have} = 0 ] || dd bs=1 skip={have} count=0 2>/dev/null; cat; }} <"$w/o"
cat "$w/e"
"""
_CLEAN = 'rm -rf "$w"; w='


def run(
    session: Session, command: str, timeout_s: float, on_line: Callable[[bytes], None] | None, where: str
) -> Completed | None:
    """See `Device.run`; None if the command was killed at its deadline."""
    deadline = time.monotonic() + timeout_s
    session.catch_up()
    number = session.next_id()
    try:
        _start(session, command, number, where)
        completed = _follow(session, deadline, on_line, where)
        session.evaluate(_CLEAN if completed else f'K "$T.{number}."; {_CLEAN}')
    except LineLost:  # whoever opens the line next ends the loop there, and that kills what it has started
        raise
    except BaseException:  # Ctrl-C, or `on_line` raised: leave nothing running on the board
        session.fall_behind()
        with suppress(BoardError):
            session.evaluate(f'K "$T.{number}."; {_CLEAN}')
        raise
    return completed


def _start(session: Session, command: str, number: int, where: str) -> None:
    text = f"{command}\n"
    start = _START.format(news=_NEWS)
    if len(text) < _SHORT:
        write = f'printf %s {shlex.quote(text)} >"$w/c" && {{\n{start}}}'
        status, said = session.evaluate(_MAKE.format(number=number, write=write))
    else:
        status, said = session.evaluate(_MAKE.format(number=number, write='printf "" >"$w/c"'))
        data = text.encode("utf-8", "surrogateescape")
        if status == 0:
            status = 0 if store(session, io.BytesIO(data), len(data)) else _FULL
            said = b"" if status else session.evaluate(start)[1]
    if status:
        why = said.decode(errors="replace").strip() or "no room in it"
        raise BoardError(
            f"cannot use the board's folder for scratch files: {why}", where=where, next="Make room in it."
        )


def _follow(session: Session, deadline: float, on_line: Callable[[bytes], None] | None, where: str) -> Completed | None:
    """Wait for the end, handing out lines on the way, then fetch what is left. None at the deadline."""
    stdout, pending, look_s = bytearray(), bytearray(), _FIRST_LOOK_S
    while True:
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            return None
        ended = session.wait_for_news(min(remaining, _UNHEARD_S if on_line is None else look_s))
        if on_line and not ended:
            reply = session.ask(READ, len(stdout), session.reading.size)
            piece = session.codec.decode(reply.payload)
            stdout += piece
            deliver_lines(pending, piece, on_line)
            look_s = _FIRST_LOOK_S / 10 if piece else min(1.5 * look_s + 0.05, _LONGEST_LOOK_S)
            if not reply.value:
                continue
        status, said = session.evaluate(_COLLECT.format(have=len(stdout), short=_SHORT))
        if status == 0:
            break
        if status != _RUNNING:
            raise BoardError("the board's scratch folder is full", where=where, next="Make room in it.")
    numbers, rest = said.split(b"\n", 1)
    result, size, errors = map(int, numbers.split())
    if size - len(stdout) + errors <= _SHORT:
        left = size - len(stdout)
        pieces, stderr = iter([rest[:left]]), rest[left:]
    else:
        pieces, stderr = fetch(session, len(stdout), size, "the output", where), b""
    for piece in pieces:
        stdout += piece
        deliver_lines(pending, piece, on_line)
    if pending:
        deliver_lines(pending, b"\n", on_line)
    if len(stderr) < errors:
        session.evaluate("g=$w/e pos=-1")
        stderr = b"".join(fetch(session, 0, errors, "the output", where))
    return Completed(result, bytes(stdout), stderr)
