"""What applications on a board use, at paths that stay: `edge_runtime` with its packages, or what they link with."""

import secrets
from collections.abc import Callable

from toolkit.devices.agent_client import Agent
from toolkit.devices.device import check
from toolkit.devices.facts import DeviceFacts
from toolkit.devices.packages import ensure_unpacked
from toolkit.devices.wheels import reader_for
from toolkit.errors import BoardError

ARCHIVE, SITE, LIBRARY = "edge_runtime.pyz", "site", "lib"


def offer(agent: Agent) -> None:
    """Let these names in our folder lead to what came with this agent, each by one rename. Raises BoardError.

    Of what came with an agent of the other kind, what was there stays.
    """
    _lead(agent, {ARCHIVE: agent.archive, SITE: agent.site, LIBRARY: agent.library})


def offer_reader(agent: Agent, kind: str, python: str, facts: DeviceFacts, on_note: Callable[[str], None]) -> None:
    """Let applications give texts or images, which is the `kind` and the link: what reads these lies on the board, too.

    Where its packages are not ours, it has its own. The board serves as well without: what is in the way is a note.
    Raises BoardError if the board cannot be reached.
    """
    if agent.site is None:
        return
    try:
        there = ensure_unpacked(agent.home, python, (reader_for(kind, facts.python or ""),), facts, on_note)
    except BoardError as error:
        on_note(f"applications on {agent.home.where} have to give arrays instead of {kind}: {error.what}")
        return
    _lead(agent, {kind: there})


def _lead(agent: Agent, names: dict[str, str | None]) -> None:
    home = agent.home
    steps = [home.guard]
    for name, path in names.items():
        if path is not None:
            there = home.within(path)
            steps.append(f'{{ [ "$(readlink {name})" = {there} ] || {{ {led(name, there)}; }}; }}')
    if len(steps) > 1:
        check(home.run(" && ".join(steps)), "offering edge_runtime to applications", home.where)


def led(name: str, there: str) -> str:
    """Shell, in our folder: that name leads there, by one rename."""
    aside = f"work/{name}.{secrets.token_hex(4)}"
    return f"ln -s {there} {aside} && mv -T {aside} {name}"
