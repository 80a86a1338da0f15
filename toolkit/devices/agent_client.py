"""The host's side of the agent: call its verbs, read its lines. Which agent it is, Python or native, does not show."""

import json
import shlex
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from toolkit.devices.device import check
from toolkit.devices.facts import DeviceFacts
from toolkit.devices.home import Home, push_bytes, scratch
from toolkit.devices.protocol import VERBS, wrong_with
from toolkit.errors import BoardError

# A specification travels within the command, which saves two ways there and back. Linux limits an argument to 128 KiB,
# adb what it asks for to 64 KiB, with what is quoted twice and stands around it.
_INLINE_BYTES = 50_000


# How the shell tells that a signal ended a command: 128 and its number.
_ILLEGAL_INSTRUCTION, _KILLED = 132, 137


class AgentError(BoardError):
    """The agent was reached, and could not do what it was asked for."""


@dataclass(frozen=True)
class Agent:
    """The agent on one board; `command` starts it from the board's shell.

    Of one in Python, `archive` is where its sources lie, which applications import, and `site` the packages it needs.
    Of a native one, `library` is the folder of what applications link with.
    """

    home: Home
    command: str
    archive: str | None = None
    site: str | None = None
    library: str | None = None


def call(
    agent: Agent,
    verb: str,
    spec: dict[str, Any] | None = None,
    *,
    on_event: Callable[[dict[str, Any]], None] | None = None,
    timeout_s: float = 600.0,
) -> dict[str, Any]:
    """Run one verb to its end; events on the way go to `on_event`.

    Raises AgentError with what the agent said, BoardError where it was not reached.
    """
    result: dict[str, Any] = {}
    failed: dict[str, Any] = {}
    strange: list[str] = []
    home = agent.home

    def on_line(line: bytes) -> None:
        event = parse_event(line)
        if event is None:
            return
        if event["event"] == "error":
            failed.update(event)
        elif wrong := wrong_with(verb, event):
            strange.append(wrong)
        elif event["event"] == "done":
            result.update(event)
        elif on_event:
            on_event(event)

    command = f"{agent.command} {verb}"
    with ExitStack() as stack:
        text = json.dumps(VERBS[verb].spec.model_validate(spec or {}).model_dump(mode="json", exclude_unset=True))
        if len(text) < _INLINE_BYTES:
            command += f" /proc/self/fd/0 <<'SPEC'\n{text}\nSPEC"
        else:
            path = stack.enter_context(scratch(home, f"{verb}.json"))
            push_bytes(home, text.encode(), path)
            command += f" {shlex.quote(path)}"
        completed = home.run(command, timeout_s=timeout_s, on_line=on_line)
    if failed:
        kind, message = failed.get("kind"), str(failed.get("message"))
        if kind == "EdgeRuntimeError":  # it says itself what to do next
            what, _, advice = message.partition("\n")
            raise AgentError(what, where=home.where, next=advice or None)
        raise AgentError(f"agent {verb}: {kind}: {message}", where=home.where)
    if completed.status == _ILLEGAL_INSTRUCTION:
        raise AgentError(
            f"agent {verb} used an instruction that its processor does not have (SIGILL)",
            where=home.where,
            next="Give another --runtime: each is built for processors of its own.",
        )
    if completed.status == _KILLED:
        raise AgentError(
            f"agent {verb} was killed, most likely for lack of memory",
            where=home.where,
            next="Free memory on the board, or lower --memory.",
        )
    check(completed, f"agent {verb}", home.where)
    if strange:
        raise AgentError(f"agent {verb} answered what its protocol does not have: {strange[0]}", where=home.where)
    if not result:
        raise AgentError(f"agent {verb} ended without a result", where=home.where)
    return {key: value for key, value in result.items() if key != "event"}


def parse_event(line: bytes) -> dict[str, Any] | None:
    """The event on one line of the agent's output; None for whatever else a library prints there."""
    try:
        event = json.loads(line) if line.startswith(b"{") else None
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and isinstance(event.get("event"), str) else None


def probe(agent: Agent) -> DeviceFacts:
    """Ask the board what it is."""
    return DeviceFacts(**call(agent, "facts"))
