"""How much to send at once: long pieces waste least on a clean line, short ones lose least on a noisy one."""

_SMALLEST, _FIRST = 128, 4096
_TARGET_S = 1.0
_CALM = 8  # pieces in a row without damage before a line that once was noisy is trusted with longer ones


class Pace:
    """The size of the next piece in bytes: grows while pieces take little time, halves with each damaged one."""

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self.size = min(_FIRST, largest)
        self._calm, self._noisy = _CALM, False

    def arrived(self, size: int, took_s: float) -> None:
        """A piece came through."""
        self._calm += 1
        if self._calm >= _CALM and size >= self.size and took_s < _TARGET_S:
            # Far from what takes long, a line that was never noisy need not be felt out step by step.
            growth = 4 if not self._noisy and took_s < _TARGET_S / 4 else 2
            self.size = min(growth * self.size, self._largest)
            self._calm = 0 if self._noisy else _CALM

    def damaged(self) -> None:
        """A piece was lost."""
        self.size = max(self.size // 2, _SMALLEST)
        self._calm, self._noisy = 0, True
