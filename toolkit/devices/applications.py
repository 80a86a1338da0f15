"""What applications on a board import: `edge_runtime` at a path that stays, with the packages that it needs."""

import secrets

from toolkit.devices.agent_client import Agent
from toolkit.devices.device import check

ARCHIVE, SITE = "edge_runtime.pyz", "site"


def offer(agent: Agent) -> None:
    """Let these names in our folder lead to what this agent runs, each by one rename. Raises BoardError.

    A native agent has nothing that an application could import: what was there stays.
    """
    home = agent.home
    steps = [home.guard]
    for name, path in ((ARCHIVE, agent.archive), (SITE, agent.site)):
        if path is not None:
            there, aside = home.within(path), f"work/{name}.{secrets.token_hex(4)}"
            steps.append(
                f'{{ [ "$(readlink {name})" = {there} ] || {{ ln -s {there} {aside} && mv -T {aside} {name}; }}; }}'
            )
    if len(steps) > 1:
        check(home.run(" && ".join(steps)), "offering edge_runtime to applications", home.where)
