"""Where to log in, as people write it: `pi@192.168.1.23:2222`, `[fe80::1%eth0]:22`, `ssh://pi@board`."""

import re
from dataclasses import dataclass

from toolkit.errors import BadInput

FORM = "[USER@]HOST[:PORT]"

# OpenSSH refuses the same characters: names travel in command lines.
_USER = r"(?!-)[^\s'`\";&<>|(){}:/]+"
_NAME = r"(?!-)[^\s'`\"$\\;&<>|(){},:@/\[\]]+"
_IPV6 = r"[0-9A-Fa-f.]*:[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*(?:%[\w.-]+)?"
_DESTINATION = re.compile(
    rf"(?:ssh://)?(?:(?P<user>{_USER})@)?"
    rf"(?:(?P<bare>{_IPV6})|(?:\[(?P<bracketed>{_IPV6}|{_NAME})\]|(?P<name>{_NAME}))(?::(?P<port>[0-9]{{1,5}}))?)/?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Destination:
    """A host, and what was said besides; None is left to others to say."""

    host: str
    user: str | None = None
    port: int | None = None

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        if self.port is None:
            return f"{user}{self.host}"
        return f"{user}{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def parse_destination(text: str) -> Destination:
    """What `[USER@]HOST[:PORT]` names. A numeric IPv6 address with a port stands in brackets; `ssh://` may precede.

    Raises BadInput that says the form.
    """
    match = _DESTINATION.fullmatch(text.strip())
    port = int(match["port"]) if match and match["port"] else None
    if match is None or not text.strip().isprintable() or port == 0 or (port or 0) >= 2**16:
        raise BadInput(
            f"'{text}' names no host to log in to",
            next=f"Write {FORM}, such as pi@192.168.1.23 or [fe80::1%eth0]:2222; a port is 1 to 65535.",
        )
    host = match["bare"] or match["bracketed"] or match["name"]
    return Destination(host, match["user"], port)
