"""Boards on a serial line, made of real parts: a real shell on a real terminal behind a wire that can be spoiled."""

import fcntl
import os
import pty
import random
import select
import signal
import socket
import subprocess
import termios
import threading
import tty
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from boards import board_at

from toolkit.targets import Target

Spoil = Callable[[bytes], bytes]


class Console:
    """A program on a terminal of 80 columns with echo, and a wire from it to `name`, a terminal or a TCP port.

    `to_board` and `to_host` spoil what passes; `sent` and `said` count its bytes. Once `sent` comes to `cut_at`, the
    plug of a TCP console is pulled.
    """

    def __init__(
        self,
        command: list[str],
        home: Path,
        *,
        tcp: bool = False,
        to_board: Spoil = bytes,
        to_host: Spoil = bytes,
        path: str | None = None,
    ) -> None:
        self.to_board, self.to_host = to_board, to_host
        self._board, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, b"\x18\0\x50\0\0\0\0\0")
        variables = {"HOME": str(home), "PATH": path or os.environ["PATH"], "PS1": "board# ", "TERM": "vt100"}
        self.program = subprocess.Popen(
            command, stdin=terminal, stdout=terminal, stderr=terminal, env=variables, cwd=home, preexec_fn=_own_terminal
        )
        self._terminal = terminal  # kept open: a getty too opens it again after each login
        self._listener = socket.create_server(("127.0.0.1", 0)) if tcp else None
        self._open = [] if tcp else list(pty.openpty())
        self._host: int | None = None if tcp else self._open[0]
        if self._listener:
            self.name = f"socket://127.0.0.1:{self._listener.getsockname()[1]}"
        else:
            tty.setraw(self._open[1])
            self.name = os.ttyname(self._open[1])
        self._stop, self.sent, self.said = threading.Event(), 0, 0
        self.cut_at: int | None = None
        self._peer: socket.socket | None = None
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def target(self, **place: object) -> Target:
        """A target for it; `place` overrides its fields."""
        return board_at({"transport": "serial", "device": self.name} | place)

    def cut(self) -> None:
        """Pull the plug of a TCP console; the next connection gets the same terminal."""
        assert self._peer
        self._peer.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Hang up and end the program with all that runs on its terminal."""
        self._stop.set()
        self._thread.join()
        with suppress(ProcessLookupError):
            os.killpg(self.program.pid, signal.SIGKILL)
        self.program.wait()
        for end in (self._board, self._terminal, *self._open):
            os.close(end)
        for link in (self._peer, self._listener):
            if link:
                link.close()

    def _carry(self) -> None:
        while not self._stop.is_set():
            ends = [self._board, *([self._host] if self._host is not None else [])]
            waiting = [self._listener] if self._listener and self._host is None else []
            ready, _, _ = select.select([*ends, *waiting], [], [], 0.05)
            for end in ready:
                if end is self._listener:
                    assert self._listener
                    self._peer = self._listener.accept()[0]
                    self._host = self._peer.fileno()
                    continue
                inward = end == self._host
                try:
                    data = os.read(end, 4096)
                except OSError:
                    data = b""
                if not data:
                    if inward and self._listener and self._peer:
                        self._peer.close()
                        self._host = None
                    continue
                self.sent, self.said = self.sent + len(data) * inward, self.said + len(data) * (not inward)
                data = self.to_board(data) if inward else self.to_host(data)
                self._pass_on(self._board if inward else self._host, data)
                if self.cut_at is not None and self.sent >= self.cut_at:
                    self.cut_at = None
                    self.cut()

    def _pass_on(self, other: int | None, data: bytes) -> None:
        """What finds no room for long is lost, as on a real line."""
        with suppress(OSError):
            while data and other is not None and select.select([], [other], [], 5.0)[1]:
                data = data[os.write(other, data[:256]) :]


def _own_terminal() -> None:
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Noise:
    """Damages one byte in a share of the lines, drops one in another, and now and then says what a kernel says.

    Text that never breaks its lines counts as a line every 76 bytes, as base64 prints them.
    """

    def __init__(self, seed: int, *, damaged: float = 0.0, dropped: float = 0.0, messages: float = 0.0) -> None:
        self._random = random.Random(seed)
        self._damaged, self._dropped, self._messages = damaged, dropped, messages
        self.lines = self.spoiled = 0

    def __call__(self, data: bytes) -> bytes:
        out = bytearray()
        for line in (data[at : at + 76] for at in range(0, len(data), 76)):
            self.lines += 1
            at, dice = self._random.randrange(len(line)), self._random.random()
            spoiled = bytearray(line)
            if dice < self._damaged:
                spoiled[at] ^= self._random.randrange(1, 256)
            elif dice < self._damaged + self._dropped:
                del spoiled[at]
            elif dice < self._damaged + self._dropped + self._messages:
                spoiled[at:at] = b"\r\n[   12.345678] usb 1-1: new high-speed USB device {4 0 1 7} using xhci\r\n"
            self.spoiled += spoiled != line
            out += spoiled
        return bytes(out)
