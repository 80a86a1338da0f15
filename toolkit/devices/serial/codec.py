"""Bytes as text that any terminal carries: base64 where the board has it, else digits that its printf and od know."""

import base64
import binascii
from dataclasses import dataclass

_LINE = 200  # characters: a terminal that cannot be set takes no line longer than 255 on some boards


@dataclass(frozen=True)
class Codec:
    """How payloads travel: `encode` for the board, `decode` from it."""

    base64: bool

    def encode(self, data: bytes) -> bytes:
        """Lines for the board: base64, or octal escapes for its printf."""
        if self.base64:
            text = base64.b64encode(data)
            return b"".join(text[at : at + _LINE] + b"\n" for at in range(0, len(text), _LINE))
        step = _LINE // 4
        pieces = (data[at : at + step] for at in range(0, len(data), step))
        return b"".join(b"".join(b"\\%03o" % byte for byte in piece) + b"\n" for piece in pieces)

    def encoded_size(self, size: int) -> int:
        """About how long `encode` makes that many bytes."""
        return size * 4 // 3 if self.base64 else size * 4

    def decode(self, text: bytes) -> bytes:
        """What the board's base64 or `od -tx1` printed; its checksum was right."""
        try:
            return base64.b64decode(text) if self.base64 else bytes.fromhex(text.decode("ascii", "replace"))
        except (binascii.Error, ValueError):
            return b""
