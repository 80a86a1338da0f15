"""Killing a command on the board with all that it started, from a second command.

The mark is in the environment of the command and so of all its descendants. A process group would do only where
the board's server makes one for each command, and not all do.
"""

import secrets

_VARIABLE = "EDGE_DEPLOY_RUN"


def new_mark() -> str:
    """An assignment for the environment of one command."""
    return f"{_VARIABLE}={secrets.token_hex(8)}"


def kill_marked(mark: str) -> str:
    """The command that kills all that bears the mark and ends when it is dead; it must bear another mark itself."""
    return f"""for attempt in 1 2 3 4 5; do
  found=$(grep -l {mark} /proc/[0-9]*/environ)
  [ -z "$found" ] && exit 0
  for process in $found; do process=${{process#/proc/}}; kill -9 ${{process%/environ}}; done
done 2>/dev/null"""
