"""Which tier a test belongs to, by where it lies and by the fixtures it uses. CONTRIBUTING.md says what each costs.

A tier answers what a machine must have. `slow` is no tier but a mark beside it: too long for `make test`.
"""

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
BOARD_FIXTURES = {"emulated_pi", "adb"}
NATIVE_FIXTURES = {"compiler"}
LOOP_FIXTURES = {"place", "deployed_place", "start_sshd"}
LOOP_FOLDERS = {"cli", "devices", "lab", "testing"}
NAMES = ("unit", "loop", "native", "board")


def tier_of(item: pytest.Item) -> str:
    """The tier of a test; one that needs more than one thing belongs to the dearest."""
    used = set(getattr(item, "fixturenames", ()))
    if not item.path.is_relative_to(TESTS) or item.get_closest_marker("board") or used & BOARD_FIXTURES:
        return "board"
    if item.get_closest_marker("native") or used & NATIVE_FIXTURES:
        return "native"
    if item.path.relative_to(TESTS).parts[0] in LOOP_FOLDERS or used & LOOP_FIXTURES:
        return "loop"
    return "unit"


def mark(item: pytest.Item) -> None:
    """Give a test the mark of its tier."""
    if not item.get_closest_marker(tier := tier_of(item)):
        item.add_marker(tier)


def left_out(deselected: list[pytest.Item]) -> str:
    """What a selection leaves out, in one line: `120 native, 80 board`; empty if nothing."""
    counts = {name: sum(tier_of(item) == name for item in deselected) for name in NAMES}
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count)
