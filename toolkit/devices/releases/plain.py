"""What a board serves as plain files at a path that stays: `model` leads to the state that is served.

The board writes such a state itself (`edge_runtime/plain.py`): a folder with the program and what fills its holes.
"""

import secrets
from collections.abc import Callable

from toolkit.devices.agent_client import Agent, call
from toolkit.devices.device import check
from toolkit.devices.home import Home
from toolkit.devices.releases.inventory import adapted_file
from toolkit.errors import BoardError

MODEL = "model"


def write_plain(agent: Agent, digest: str) -> None:
    """Let the board write the state that it serves of that release, or would. Raises BoardError."""
    call(agent, "plain", {"root": agent.home.root, "digest": digest})


def follow(agent: Agent, digest: str, on_note: Callable[[str], None]) -> None:
    """The board serves another state of that release: write that, and lead `model` there.

    What it serves does not depend on it: where the board cannot, a note says so, and `model` goes. Raises BoardError.
    """
    home = agent.home
    lead = lead_to(home, digest)
    try:
        write_plain(agent, digest)
    except BoardError as error:
        on_note(f"{home.where}: {MODEL}/ for stock runtimes cannot be written and goes: {error.what}")
        lead = f"{_if_served(digest)}rm -f {MODEL}\n}} || exit 1\n"
    check(home.run(f"{home.guard} || exit 1\n{lead}sync"), "leading model to what is served", home.where)


def lead_to(home: Home, digest: str) -> str:
    """Shell: if that release is served, `model` leads to its state; nowhere if the board never wrote that."""
    learned, folder = home.within(adapted_file(home, digest)), home.within(plain_folder(home, digest))
    aside = f"work/{MODEL}.{secrets.token_hex(4)}"
    return f"""{_if_served(digest)}state=installed
if [ -f {learned} ]; then state=$(sha256sum <{learned} | cut -c1-16); fi
if [ -d {folder}/$state ]; then
  {{ ln -s {folder}/$state {aside} && mv -T {aside} {MODEL}; }} || {{ rm -f {MODEL}; false; }}
else rm -f {MODEL}; fi
}} || exit 1
"""


def _if_served(digest: str) -> str:
    """Shell, up to what closes it with a brace: if that release is served."""
    return f'[ "$(basename "$(readlink current)")" != {digest} ] || {{\n'


def plain_folder(home: Home, digest: str) -> str:
    """Where the states of a release lie."""
    return home.at("adapted", digest)
