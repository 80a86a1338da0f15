"""Options of former versions are settings now: an error names the `--set` that means the same."""

from collections.abc import Sequence

from toolkit.errors import BadInput

MOVED = {
    "--allocator": "allocation.allocator",
    "--policy": "allocation.policy",
    "--curve": "compression.curve",
    "--channels": "compression.channels",
    "--recovery-steps": "recovery.steps",
    "--recovery-rate": "recovery.rate",
    "--distill": "recovery.distill",
    "--augment": "recovery.augment",
    "--adapt-steps": "adaptation.steps",
    "--profile-budget": "profiling.budget",
    "--sign": "release.sign",
}


def moved_option(option: str, arguments: Sequence[str]) -> BadInput | None:
    """What to give instead of that option on this command line; None for one that never was."""
    if option not in MOVED:
        return None
    return BadInput(
        "this option is a setting now",
        where=option,
        next=f"Give --set {MOVED[option]}={_value(option, arguments)}; `deploy methods` lists all settings.",
    )


def _value(option: str, arguments: Sequence[str]) -> str:
    if option == "--channels":
        return "true"
    for index, argument in enumerate(arguments):
        if argument.startswith(f"{option}="):
            return argument.partition("=")[2]
        if argument == option and index + 1 < len(arguments):
            return arguments[index + 1]
    return "VALUE"
