"""The port itself: open, read, write. What breaks in it becomes BoardError."""

import errno
import io
import os
import select
import time

import serial

from toolkit.errors import BoardError

_WRITE_TIMEOUT_S = 30.0
_PIECE = 4096  # bytes written at once: what the line brings meanwhile is read between two pieces


class LineLost(BoardError):
    """The conversation has broken off; a new one may begin with opening the line again."""


class Line:
    """An open serial port, or what pyserial makes look like one (`socket://host:port`, `loop://`)."""

    def __init__(self, name: str, baud: int, where: str) -> None:
        self._where = where
        self._read_ahead = bytearray()
        try:
            self._port = serial.serial_for_url(
                name, baudrate=baud, timeout=0, write_timeout=_WRITE_TIMEOUT_S, exclusive="://" not in name or None
            )
        except (serial.SerialException, OSError, ValueError) as error:
            raise _why_not_open(error, name, where) from None
        try:
            self._fd: int | None = self._port.fileno()
        except (io.UnsupportedOperation, AttributeError):
            self._fd = None

    def read(self, timeout_s: float) -> bytes:
        """What has come, as soon as anything has; nothing after `timeout_s`."""
        if self._read_ahead:
            data = bytes(self._read_ahead)
            self._read_ahead.clear()
            return data
        try:
            return self._read(max(0.0, timeout_s))
        except (serial.SerialException, OSError, TypeError) as error:  # TypeError: pyserial's, of a port closed before
            raise self._dropped(error) from None

    def write(self, data: bytes) -> None:
        """Send all of it. Raises BoardError if the line takes nothing for half a minute."""
        for start in range(0, len(data), _PIECE):
            try:
                self._port.write(data[start : start + _PIECE])
                if start + _PIECE < len(data):
                    self._read_ahead += self._read(0)
            except serial.SerialTimeoutException:
                raise LineLost(
                    f"the line takes nothing for {_WRITE_TIMEOUT_S:g} s",
                    where=self._where,
                    next="Check the cable and whether something holds the line by flow control.",
                ) from None
            except (serial.SerialException, OSError, TypeError) as error:
                raise self._dropped(error) from None

    def read_until_quiet(self, quiet_s: float, at_most_s: float) -> bytes:
        """What comes until nothing has come for `quiet_s`, or `at_most_s` have passed."""
        said, end = bytearray(), time.monotonic() + at_most_s
        while time.monotonic() < end and (data := self.read(quiet_s)):
            said += data
        return bytes(said)

    def close(self) -> None:
        """Let go of the port; safe to call twice."""
        self._port.close()

    def _read(self, timeout_s: float) -> bytes:
        if self._fd is None:
            self._port.timeout = timeout_s
            return bytes(self._port.read(1) + self._port.read(self._port.in_waiting))
        if not select.select([self._fd], [], [], timeout_s)[0]:
            return b""
        data = os.read(self._fd, 65536)
        if not data:
            raise serial.SerialException("the other end closed it")
        return data

    def _dropped(self, error: Exception) -> LineLost:
        reason = getattr(error, "strerror", None) or str(error)
        return LineLost(
            f"the line dropped: {reason}",
            where=self._where,
            next="Check the cable and the board, and that nothing else uses the line; then run again.",
        )


def _why_not_open(error: Exception, name: str, where: str) -> BoardError:
    """pyserial keeps the reason in `errno`, or only in its text."""
    code, text = getattr(error, "errno", None), str(error)
    if code == errno.ENOENT:
        return BoardError("no such device", where=where, next="Plug it in; `ls /dev/tty*` lists what there is.")
    if code in (errno.EACCES, errno.EPERM):
        next = "Join the group that owns it: `sudo usermod -aG dialout $USER`, then log in again."
        return BoardError("permission denied", where=where, next=next)
    if code in (errno.EBUSY, errno.EAGAIN) or "exclusively lock" in text:
        return BoardError("busy: another program has it open", where=where, next=f"See which: `fuser -v {name}`.")
    reason = text.rsplit(": ", 1)[-1] if "://" in name else text
    return BoardError(f"cannot open it: {reason}", where=where, next="Check the device, and the target's `baud`.")
