"""What the shell offers when Tab is pressed."""

from toolkit.settings import all_settings
from toolkit.targets import target_files


def complete_targets(incomplete: str) -> list[str]:
    """Names of targets that begin so."""
    return [name for name in target_files() if name.startswith(incomplete)]


def complete_settings(incomplete: str) -> list[str]:
    """Names of settings that begin so, with the sign after which their value stands."""
    return [f"{each.name}=" for each in all_settings() if each.name.startswith(incomplete)]
