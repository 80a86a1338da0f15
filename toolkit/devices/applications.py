"""What applications on a board use, at paths that stay: `edge_runtime` with its packages, or what they link with."""

import secrets

from toolkit.devices.agent_client import Agent
from toolkit.devices.device import check

ARCHIVE, SITE, LIBRARY = "edge_runtime.pyz", "site", "lib"


def offer(agent: Agent) -> None:
    """Let these names in our folder lead to what came with this agent, each by one rename. Raises BoardError.

    Of what came with an agent of the other kind, what was there stays.
    """
    home = agent.home
    steps = [home.guard]
    for name, path in ((ARCHIVE, agent.archive), (SITE, agent.site), (LIBRARY, agent.library)):
        if path is not None:
            there = home.within(path)
            steps.append(f'{{ [ "$(readlink {name})" = {there} ] || {{ {led(name, there)}; }}; }}')
    if len(steps) > 1:
        check(home.run(" && ".join(steps)), "offering edge_runtime to applications", home.where)


def led(name: str, there: str) -> str:
    """Shell, in our folder: that name leads there, by one rename."""
    aside = f"work/{name}.{secrets.token_hex(4)}"
    return f"ln -s {there} {aside} && mv -T {aside} {name}"
