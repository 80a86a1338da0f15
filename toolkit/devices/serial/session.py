"""The board's loop, started over a shell's prompt, and exact answers from it over a bad line."""

import re
import secrets
import time
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

from toolkit.devices.serial.codec import Codec
from toolkit.devices.serial.frames import Reply, ReplyParser, cksum, request
from toolkit.devices.serial.line import Line, LineLost
from toolkit.devices.serial.login import LARGEST_PAYLOAD, QUIT, Credentials, find_shell
from toolkit.devices.serial.pace import Pace
from toolkit.errors import BoardError

PING, EVAL, WRITE, READ, CAPABILITIES = 0, 1, 2, 3, 5
OK, DAMAGED, CANNOT_WRITE = 0, 2, 3
_BASE64, _OD, _STTY, _FOLDER, _DD = 1, 2, 4, 8, 16
_SILENCE_S = 30.0
_TRIES = 16
_PAD = 64
_SHORTEST_S = 0.15  # a USB adapter alone may hold bytes back for 16 ms
_PIECE_LINES = 8
# Typed at the prompt: it takes the loop's text line by line, keeps (=) what had the right checksum (.), drops (,) what
# came since, says (:) what it has kept, begins anew (@), and runs what it has kept (+).
_LOADER = (
    """sh -c 'n=$(printf "\\n.");n=${n%.};echo "[""load]";while IFS= read -r l;do case $l in ,)p=$q;;=)q=$p;;"""
    """@)p= q=;;+)eval "$q";;.)echo "[$(printf %s "$p"|cksum)]";;:)echo "<$(printf %s "$q"|cksum)>";;*)p="$p$l$n";;"""
    """esac;done'"""
)


class Session:
    """One login, and the loop that answers on the board until `close`. Not for two threads at once."""

    def __init__(self, line: Line, credentials: Credentials, baud: int, where: str) -> None:
        self._line, self._where = line, where
        self.rate = baud / 10  # bytes per second
        self.reading = Pace(131_072)
        self._parser = ReplyParser()
        self._replies: list[Reply] = []
        self._last_id = 0
        self._patience_s = 2.0  # how long an answer may stay away: follows the slowest of late
        self._in_step = True
        self._news = False
        self.token = secrets.token_hex(4)
        self._load(credentials)
        capabilities = self._begin()
        self._require(capabilities)
        self.codec = Codec(base64=bool(capabilities & _BASE64))
        self.writing = Pace(LARGEST_PAYLOAD * 3 // (4 if self.codec.base64 else 16) - 1000)
        self.full_duplex = bool(capabilities & _STTY)  # else the terminal's echo breaks into answers

    def evaluate(self, code: str, busy_s: float = 0.0) -> tuple[int, bytes]:
        """Run a few lines in the loop itself, once: their status and what they printed. They may take `busy_s`."""
        reply = self.ask(EVAL, payload=self.codec.encode(code.encode("utf-8", "surrogateescape")), busy_s=busy_s)
        return reply.value, self.codec.decode(reply.payload)

    def ask(self, verb: int, a: int = 0, b: int = 0, payload: bytes = b"", busy_s: float = 0.0) -> Reply:
        """One request until it is answered; sent again under its number, so that it takes effect once."""
        self.catch_up()
        id = self.next_id()
        for _ in range(_TRIES):
            self._line.write(request(id, verb, a, b, payload))
            reply = self.reply([id], busy_s + len(payload) / self.rate)
            if reply and reply.status != DAMAGED:
                return reply
            self.synchronise()
        raise self.garbage()

    def send(self, verb: int, a: int, b: int, payload: bytes = b"") -> int:
        """Send one request and do not wait; its number."""
        id = self.next_id()
        self._line.write(request(id, verb, a, b, payload))
        return id

    def reply(self, ids: Sequence[int], busy_s: float = 0.0) -> Reply | None:
        """The next reply to one of these; None if the board found damage, or nothing more comes."""
        started = heard = time.monotonic()
        patience = self._patience_s + busy_s
        while True:
            for at, reply in enumerate(self._replies):
                if reply.id in ids:
                    del self._replies[: at + 1]
                    took = time.monotonic() - started
                    self._patience_s = max(_SHORTEST_S, 4 * took, 0.8 * self._patience_s)
                    return reply
            damaged = any(reply.id == 0 and reply.status == DAMAGED for reply in self._replies)
            self._replies.clear()
            if damaged:
                return None
            data = self._line.read(patience)
            now = time.monotonic()
            heard = now if data else heard
            if now - heard >= patience * 0.99 or now - started > _SILENCE_S + patience:
                return None
            self._take(data)

    def wait_for_news(self, timeout_s: float) -> bool:
        """Wait until the board says of itself that a command has ended. False when nothing was heard in time."""
        end = time.monotonic() + timeout_s
        while not self._news and (remaining := end - time.monotonic()) > 0:
            self._take(self._line.read(remaining))
        news, self._news = self._news, False
        return news

    def _take(self, data: bytes) -> None:
        for reply in self._parser.feed(data):
            if reply.id == 0 and reply.status == OK:
                self._news = True
            else:
                self._replies.append(reply)

    def synchronise(self) -> int:
        """Have the board answer anew, whatever it was in the midst of; the offset up to which it has written.

        It may still wait for the rest of a payload whose bytes were lost: blank lines make up for them.
        """
        for pad in (_PAD, _PAD, 8 * _PAD, 64 * _PAD, LARGEST_PAYLOAD, LARGEST_PAYLOAD):
            id = self.next_id()
            self._line.write(b"\n" * pad + request(id, PING))
            reply = self.reply([id], pad / self.rate)
            if reply:
                self._in_step = True
                return reply.value
        raise self.garbage()

    def catch_up(self) -> None:
        """Get back into step if an exception cut the last conversation short."""
        if not self._in_step:
            self.synchronise()

    def fall_behind(self) -> None:
        """A conversation was cut short: the next one begins with finding the board again."""
        self._in_step = False

    def next_id(self) -> int:
        """A number that no earlier request had."""
        self._last_id += 1
        return self._last_id

    def garbage(self) -> LineLost:
        """What to raise when trying again has not helped."""
        return LineLost(
            "the line garbles or loses everything: no whole answer however often it is asked",
            where=self._where,
            next="Check cable, ground and `baud`, and that nobody else types on this console.",
        )

    def close(self) -> None:
        """End the loop, and the login with it."""
        self._line.write(b"\n" * _PAD + request(self.next_id(), QUIT))
        self._line.read_until_quiet(0.3, 2.0)

    def _load(self, credentials: Credentials) -> None:
        """Have the board keep the loop's text: piece by piece, so that a bad line costs a piece and not all of it."""
        for _ in range(_TRIES // 4):
            logged_in = find_shell(self._line, credentials, self._where)
            # After a login of ours the end of the loop is the end of the login.
            self._line.write(f" {'exec ' if logged_in else ''}{_LOADER}\n".encode())
            if self._expect(re.compile(rb"\[load\]"), 10.0):
                break
        pieces = _pieces(f"T={self.token}\n{_script()}".encode())
        checksums = [b"%d %d" % (cksum(text), len(text)) for text in accumulate(pieces, initial=b"")]
        kept, failed = 0, 0
        while kept < len(pieces) and failed < _TRIES:
            patience_s = 2.0 * 2 ** min(failed, 3)  # a late answer to an earlier try would be taken for this one's
            self._line.write(b"\n,\n" + pieces[kept] + b".\n")
            if self._said(rb"\[(\d+ \d+)\]", patience_s, len(pieces[kept])) == checksums[kept + 1]:
                self._line.write(b"=\n")
            # Asked, not counted: an answer or an `=` may be lost, too.
            self._line.write(b"\n:\n")
            said, before = self._said(rb"<(\d+ \d+)>", patience_s), kept
            if said in checksums:
                kept = checksums.index(said)
            elif said:  # noise said `=` for us
                self._line.write(b"\n@\n")
                kept = 0
            failed = 0 if kept > before else failed + 1
        if kept < len(pieces):
            raise BoardError(
                "its shell does not take the toolkit's few lines",
                where=self._where,
                next="The board needs a POSIX `sh` and `cksum`; check also that the line is free of noise.",
            )

    def _begin(self) -> int:
        """Have the board run the loop that it has kept; what the loop can do there."""
        for _ in range(_TRIES):
            self._line.write(b"\n+\n")  # to a loop that runs already this is noise
            id = self.send(CAPABILITIES, 0, 0)
            if reply := self.reply([id], 3.0):  # the loop tries a few programs first
                return reply.value
        raise self.garbage()

    def _said(self, pattern: bytes, patience_s: float, sent_bytes: int = 0) -> bytes:
        """What the board answers, which may echo first what was sent; nothing if that takes too long."""
        return self._expect(re.compile(pattern), patience_s + 3 * sent_bytes / self.rate)

    def _expect(self, pattern: re.Pattern[bytes], timeout_s: float) -> bytes:
        said, end = bytearray(), time.monotonic() + timeout_s
        while (remaining := end - time.monotonic()) > 0:
            said += self._line.read(remaining)
            if found := pattern.search(said):
                return found.group(pattern.groups)
        return b""

    def _require(self, capabilities: int) -> None:
        missing = [
            text
            for there, text in (
                (capabilities & (_BASE64 | _OD), "neither base64 nor od"),
                (capabilities & _DD, "no dd"),
                (capabilities & _FOLDER, "no folder that can be written to (of TMPDIR, /tmp, /dev/shm, /run, home)"),
            )
            if not there
        ]
        if missing:
            next = "Install what is missing (busybox has all of it), or mount a writable /tmp."
            raise BoardError(f"the board has {'; '.join(missing)}", where=self._where, next=next)


def _pieces(script: bytes) -> list[bytes]:
    lines = script.splitlines(keepends=True)
    return [b"".join(lines[at : at + _PIECE_LINES]) for at in range(0, len(lines), _PIECE_LINES)]


def _script() -> str:
    lines = (Path(__file__).parent / "server.sh").read_text(encoding="ascii").splitlines()
    return "".join(f"{text}\n" for text in lines if text and not text.startswith("#"))
