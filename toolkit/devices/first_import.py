"""A runtime imported on its board once, before anything is measured: what is in its way is said in one line."""

import re

from toolkit.devices.agent_client import Agent, AgentError, call
from toolkit.errors import BoardError

_BRINGS_ALL = "Give --runtime executorch, which brings its own libraries and needs no Python."


def first_import(agent: Agent, runtime: str) -> str:
    """The version that the board's Python imports. Raises BoardError with what it says instead."""
    try:
        found = call(agent, "bring_in", {"runtime": runtime}, timeout_s=300)
    except AgentError as error:
        raise BoardError(
            f"cannot import {runtime}: {one_line(error.what)}", where=agent.home.where, next=_BRINGS_ALL
        ) from None
    return str(found["version"])


def one_line(said: str) -> str:
    """The cause in what a library says: NumPy puts it behind its advice, others into their first line."""
    cause = re.search(r"Original error was: (.+)", said)
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return (cause[1].strip() if cause else lines[0] if lines else "it says nothing")[:300]
