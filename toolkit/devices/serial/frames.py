"""What travels on the line: requests to the board's loop and its replies, each checksummed. Pure, and never raises.

A request is one line, `@ id verb a b n crc check`, then n bytes of payload. A reply is `{id status value n crc check:`,
n bytes of payload, `}`. `check` covers the numbers before it and costs the board's shell one line of arithmetic, no
process; `crc` is what POSIX `cksum` says of the payload. Payloads are text (base64 or digits): a brace inside one, or a
wrong checksum, means that the line or a kernel message has damaged it.
"""

import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_HEADER = re.compile(rb"\{(\d{1,15}) (\d{1,15}) (\d{1,15}) (\d{1,9}) (\d{1,10}) (\d{1,10}):")
_LONGEST_HEADER = 90
_REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass(frozen=True)
class Reply:
    """One undamaged answer of the board; `payload` is still encoded."""

    id: int
    status: int
    value: int
    payload: bytes


def request(id: int, verb: int, a: int = 0, b: int = 0, payload: bytes = b"") -> bytes:
    """The bytes of one request; the newline after the payload lets the board find the next line's start."""
    fields = (id, verb, a, b, len(payload), cksum(payload) if payload else 0)
    line = " ".join(map(str, (*fields, check_number(*fields))))
    return b"@ %s\n%s" % (line.encode(), payload + b"\n" if payload else b"")


def check_number(*fields: int) -> int:
    """The checksum over a header's numbers: small enough at every step for a shell's arithmetic."""
    check = 7
    for field in fields:
        check = (check * 65599 + field) % 2147483647
    return check


def cksum(data: bytes) -> int:
    """What POSIX `cksum` prints first."""
    return cksum_of([data])[0]


def cksum_of(pieces: Iterable[bytes]) -> tuple[int, int]:
    """Both numbers that POSIX `cksum` prints: CRC-32, most significant bit first, over data and length; the length.

    zlib's is the same polynomial with all bits in the other order.
    """
    crc, size = 0xFFFFFFFF, 0
    for piece in pieces:
        crc = zlib.crc32(piece.translate(_REVERSED_BITS), crc)
        size += len(piece)
    length = size.to_bytes((size.bit_length() + 7) // 8, "little")
    return reverse_bits(zlib.crc32(length.translate(_REVERSED_BITS), crc)), size


def reverse_bits(word: int) -> int:
    """A 32-bit word with its bits in the other order."""
    return int.from_bytes(word.to_bytes(4, "little").translate(_REVERSED_BITS), "big")


class ReplyParser:
    """Finds replies in whatever the line brings."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Reply]:
        """The replies that `data` completes; carriage returns are the terminal's, not ours."""
        self._buffer += data.replace(b"\r", b"")
        start = 0
        while (start := self._buffer.find(b"{", start)) >= 0:
            header = _HEADER.match(self._buffer, start)
            if header is None:
                if len(self._buffer) - start < _LONGEST_HEADER and b"\n" not in self._buffer[start:]:
                    break  # the rest of the header may still come
                start += 1
                continue
            id, status, value, size, crc, check = map(int, header.groups())
            if check != check_number(id, status, value, size, crc):
                start += 1
                continue
            end = header.end() + size
            brace = min(at for at in (self._find(b"{", header.end()), self._find(b"}", header.end())) if at >= 0)
            if brace == len(self._buffer) and brace <= end:
                break  # the rest of the payload may still come
            payload = bytes(self._buffer[header.end() : brace])
            whole = brace == end and self._buffer[brace : brace + 1] == b"}"
            start = brace if self._buffer[brace : brace + 1] == b"{" else brace + 1
            if whole and (cksum(payload) == crc if size else crc == 0):
                yield Reply(id, status, value, payload)
        del self._buffer[: start if start >= 0 else len(self._buffer)]

    def _find(self, mark: bytes, start: int) -> int:
        found = self._buffer.find(mark, start)
        return found if found >= 0 else len(self._buffer)
