"""What `run` and `plan` make of their options."""

from pathlib import Path

from toolkit.errors import BadInput
from toolkit.request import Overrides
from toolkit.units import parse_bytes, parse_milliseconds


def parse_profile_budget(text: str | None) -> float | None:
    """Seconds; None for no bound. Raises BadInput."""
    if text is None or text.strip() in ("0", "0s"):
        return None
    return parse_milliseconds(text) / 1e3


def check_policy(allocator: str, policy: Path | None) -> None:
    """Raises BadInput before anything is loaded."""
    if policy is not None and allocator != "policy":
        raise BadInput(f"is not read by --allocator {allocator}", where="--policy", next="Give --allocator policy.")
    if policy is not None and not policy.is_file():
        raise BadInput("no such file", where=f"--policy {policy}", next="Name a file that a policy was saved in.")


def overrides_of(latency: str | None, memory: str | None, size: str | None, keep_accuracy: float | None) -> Overrides:
    return Overrides(
        None if latency is None else parse_milliseconds(latency),
        None if memory is None else parse_bytes(memory),
        None if size is None else parse_bytes(size),
        keep_accuracy,
    )
