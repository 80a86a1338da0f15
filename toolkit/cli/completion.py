"""A shell offers targets and settings when Tab is pressed."""

from collections.abc import Mapping

from toolkit.settings import all_settings
from toolkit.targets import target_files


def complete_targets(incomplete: str) -> list[str]:
    """Names of targets that begin so."""
    return [name for name in target_files() if name.startswith(incomplete)]


def complete_settings(incomplete: str) -> list[str]:
    """Names of settings that begin so, with the sign after which their value stands."""
    return [f"{each.name}=" for each in all_settings() if each.name.startswith(incomplete)]


def with_verb(environment: Mapping[str, str]) -> dict[str, str]:
    """What a shell asked, with the verb `run` put where the line leaves it out; empty for any other environment.

    bash asks by COMP_WORDS and COMP_CWORD, zsh and fish by _TYPER_COMPLETE_ARGS.
    """
    for name in ("COMP_WORDS", "_TYPER_COMPLETE_ARGS"):
        program, blank, rest = environment.get(name, "").partition(" ")
        if "_DEPLOY_COMPLETE" in environment and blank and rest.lstrip().startswith("-"):
            word = int(environment.get("COMP_CWORD", "0")) + 1
            return {name: f"{program} run {rest.lstrip()}", "COMP_CWORD": str(word)}
    return {}
