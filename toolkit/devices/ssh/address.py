"""Where a target's SSH server is, as whom to log in and through which hosts: what OpenSSH would make of it."""

import getpass
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import paramiko

from toolkit.errors import BoardError
from toolkit.targets import SshPlace, Target, expand_path

_HOP = re.compile(r"(?:ssh://)?(?:(?P<user>.+)@)?(?:\[(?P<v6>[^\]]+)\]|(?P<host>[^:@\[\]\s]+))(?::(?P<port>\d+))?/?")


@dataclass(frozen=True)
class Address:
    """One SSH server, after `~/.ssh/config` has filled what the target leaves open; `through` is the hop before it."""

    host: str
    port: int
    user: str
    identity_files: tuple[Path, ...]
    known_hosts: tuple[Path, ...]
    where: str
    role: str = "the board"
    host_key_alias: str | None = None
    password_file: Path | None = None
    start_lab: str | None = None
    through: "Address | None" = None

    @property
    def known_as(self) -> str:
        """The host's name in a known_hosts file."""
        return self.host_key_alias or (self.host if self.port == 22 else f"[{self.host}]:{self.port}")

    @property
    def login(self) -> str:
        """The arguments with which OpenSSH's own tools reach the same board."""
        hops: list[str] = []
        hop = self.through
        while hop:
            hops.insert(0, f"{hop.user}@{f'[{hop.host}]' if ':' in hop.host else hop.host}:{hop.port}")
            hop = hop.through
        jump = f"-J {shlex.quote(','.join(hops))} " if hops else ""
        key = f"-i {shlex.quote(str(self.identity_files[0]))} " if self.identity_files else ""
        return f"{jump}{key}-p {self.port} {shlex.quote(f'{self.user}@{self.host}')}"


def address_of(target: Target) -> Address:
    """The address of a target whose place is an SSH server. Raises BoardError if `~/.ssh/config` cannot be used."""
    asked, where = target.place, f"target {target.name}"
    assert isinstance(asked, SshPlace)
    config_file = Path("~/.ssh/config").expanduser()
    in_lab = "{cache}/lab/" in (asked.identity_file or "")
    try:
        config = paramiko.SSHConfig.from_text(config_file.read_text() if config_file.is_file() else "")
        found = config.lookup(asked.host)
        port = asked.port or int(found.get("port", 22))
        host, user = found["hostname"], asked.user or found.get("user") or getpass.getuser()
        identities = [asked.identity_file] if asked.identity_file else found.get("identityfile", [])
        return Address(
            host=host,
            port=port,
            user=user,
            identity_files=tuple(expand_path(text) for text in identities),
            known_hosts=(expand_path(asked.known_hosts_file),) if asked.known_hosts_file else _known_hosts(found),
            where=f"{where} ({user}@{host}:{port})",
            host_key_alias=found.get("hostkeyalias"),
            password_file=expand_path(asked.password_file) if asked.password_file else None,
            start_lab=f"Start it: `deploy lab up {target.family.lab or target.name}`." if in_lab else None,
            through=_through(asked.proxy_jump or found.get("proxyjump"), config, where, (asked.host,)),
        )
    except (paramiko.SSHException, ImportError, OSError, ValueError) as error:
        raise BoardError(f"cannot be used: {error}", where=str(config_file), next="Mend it.") from None


def _through(jump: str | None, config: paramiko.SSHConfig, where: str, seen: tuple[str, ...]) -> Address | None:
    """The last of the hosts in `jump`, which reaches its own by those before it; the first may have its own jump."""
    last: Address | None = None
    for text in jump.split(",") if jump and jump.lower() != "none" else []:
        match = _HOP.fullmatch(text.strip())
        if match is None:
            raise BoardError(
                f"'{text}' names no jump host",
                where=where,
                next="Write ProxyJump (`proxy_jump` in the target's file) as user@host:port, with commas between hops.",
            )
        name = match["v6"] or match["host"]
        found = config.lookup(name)
        own = None if last else found.get("proxyjump")
        if own and own.lower() != "none" and name in seen:
            raise BoardError(
                f"the jump hosts lead in a circle: {' -> '.join((*seen, name))}",
                where=where,
                next=f"Give `Host {name}` a `ProxyJump none` before other hosts in ~/.ssh/config.",
            )
        host, port = found["hostname"], int(match["port"] or found.get("port", 22))
        user = match["user"] or found.get("user") or getpass.getuser()
        last = Address(
            host=host,
            port=port,
            user=user,
            identity_files=tuple(expand_path(path) for path in found.get("identityfile", [])),
            known_hosts=_known_hosts(found),
            where=f"{where}, its jump host ({user}@{host}:{port})",
            role="the jump host",
            host_key_alias=found.get("hostkeyalias"),
            through=last or _through(own, config, where, (*seen, name)),
        )
    return last


def _known_hosts(found: paramiko.SSHConfigDict) -> tuple[Path, ...]:
    texts = shlex.split(found.get("userknownhostsfile", "")) or ["~/.ssh/known_hosts"]
    return tuple(Path(text).expanduser() for text in texts)
