"""What `~/.ssh/config` and its like say of one host: what `ssh -G` resolves, or paramiko where there is no `ssh`."""

import getpass
import os
import pwd
import re
import shutil
import socket
import subprocess
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import paramiko

from toolkit.errors import BoardError

_TIMEOUT_S = 30.0  # `Match exec` runs commands
_NOWHERE = {"none", os.devnull}
_USUAL_KEYS = {f"~/.ssh/id_{kind}" for kind in ("rsa", "dsa", "ecdsa", "ecdsa_sk", "ed25519", "ed25519_sk", "xmss")}
_INCLUDE = re.compile(r"^\s*include\b", re.IGNORECASE | re.MULTILINE)
_COMPLAINT = re.compile(r"(?P<file>\S.*?):? line (?P<line>\d+): (?P<what>.+)")


@dataclass(frozen=True)
class SshSettings:
    """One host's. No identity files: the usual ones. A new host key goes to the first of the known_hosts files."""

    host: str
    port: int
    user: str
    identity_files: tuple[Path, ...]
    identities_only: bool
    known_hosts: tuple[Path, ...]
    hash_known_hosts: bool
    host_key_alias: str | None
    proxy_jump: str | None
    proxy_command: str | None


def settings_of(host: str, user: str | None, port: int | None) -> SshSettings:
    """The host's settings; user and port, where given, win over all that is configured. Raises BoardError."""
    has_ssh = shutil.which("ssh") and _account_home()
    said = parse_settings(_ask_ssh(host, user, port)) if has_ssh else _read_config(host)
    one = {key: values[0] for key, values in said.items()}
    name, login, number = one.get("hostname", host), user or one.get("user"), port or int(one.get("port", 22))
    login = login or getpass.getuser()
    tokens = _tokens(name, host, login, number, one.get("hostkeyalias", host))
    identities = said.get("identityfile", [])
    if _USUAL_KEYS.issuperset(identities):
        identities = []
    proxy_command = _unless_none(one.get("proxycommand"))
    if proxy_command and one.get("proxyusefdpass") == "yes":
        raise BoardError(
            "has ProxyUseFdpass, with which only `ssh` itself can use its ProxyCommand",
            where=f"`ssh -G {host}`",
            next=f"Give `Host {host}` a ProxyCommand that passes bytes, such as `nc %h %p`.",
        )
    return SshSettings(
        host=name,
        port=number,
        user=login,
        identity_files=tuple(_path(each, tokens) for each in identities if each.lower() not in _NOWHERE),
        identities_only=one.get("identitiesonly") == "yes",
        known_hosts=_known_hosts(one),
        hash_known_hosts=one.get("hashknownhosts") == "yes",
        host_key_alias=one.get("hostkeyalias"),
        proxy_jump=_unless_none(one.get("proxyjump")),
        proxy_command=proxy_command and _expand(proxy_command, tokens),
    )


def parse_settings(text: str) -> dict[str, list[str]]:
    """The values of each keyword, in order, of what `ssh -G` prints: a keyword, a space and a value on each line."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in text.split("\n"):
        key, _, value = line.strip("\r").partition(" ")
        if key and value:
            found[key.lower()].append(value)
    return dict(found)


def _ask_ssh(host: str, user: str | None, port: int | None) -> str:
    command = ["ssh", "-G", *(["-l", user] if user else []), *(["-p", str(port)] if port else [])]
    home = Path("~").expanduser()
    if home != _account_home():  # ssh asks the account and not HOME where the user's files are
        config = home / ".ssh" / "config"
        command += ["-F", str(config) if config.is_file() else "none"]
    try:
        done = subprocess.run(
            [*command, "--", host], stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BoardError(f"does not answer: {error}", where=f"`ssh -G {host}`", next="See what it says.") from None
    if done.returncode == 0:
        return done.stdout.decode(errors="surrogateescape")
    complaint = done.stderr.decode(errors="replace")
    known = _COMPLAINT.search(complaint)
    if known:
        what, where = f"cannot be used: line {known['line']}: {known['what']}", known["file"]
    else:
        said = [line for line in complaint.splitlines() if not line.startswith("Pseudo-terminal")]
        what, where = f"fails: {said[0] if said else f'status {done.returncode}'}", f"`ssh -G {host}`"
    raise BoardError(what, where=where, next=f"Mend it until `ssh -G {host}` prints the host's settings.")


def _read_config(host: str) -> dict[str, list[str]]:
    """The same by paramiko, which neither reads the system's file nor knows Include."""
    file = Path("~/.ssh/config").expanduser()
    try:
        text = file.read_text() if file.is_file() else ""
        if _INCLUDE.search(text):
            raise BoardError(
                "includes other files, which only OpenSSH's own `ssh` can follow, and it is not installed",
                where=str(file),
                next="Install it (`apt-get install openssh-client`), or write the host's settings into this file.",
            )
        found = paramiko.SSHConfig.from_text(text).lookup(host)
    except (paramiko.SSHException, ImportError, OSError, ValueError) as error:
        raise BoardError(f"cannot be used: {error}", where=str(file), next="Mend it.") from None
    said = {key: list(value) if isinstance(value, list) else [value] for key, value in found.items()}
    return {key: [value.strip('"') for value in values] for key, values in said.items()}


def _account_home() -> Path | None:
    """The home folder that the account names; None if there is no account, and then `ssh` does not run."""
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        return None


def _known_hosts(one: Mapping[str, str]) -> tuple[Path, ...]:
    """Where keys may be forgotten at once (/dev/null), they are kept as usual: no host goes unverified here."""
    usual = [Path("~/.ssh/known_hosts").expanduser(), Path("~/.ssh/known_hosts2").expanduser()]
    text = one.get("userknownhostsfile", "")
    files = _files(text)
    if files == [Path(f"{_account_home()}/.ssh/{file.name}") for file in usual]:  # not said by the user
        files = usual
    return (*(files or usual[:1]), *_files(one.get("globalknownhostsfile", "")))


def _files(text: str) -> list[Path]:
    """`ssh -G` prints several files on one line, without quotes."""
    whole = Path(text).expanduser()
    texts: Sequence[str] = [text] if text and whole.is_file() else text.split()
    return [Path(each).expanduser() for each in texts if each.lower() not in _NOWHERE]


def _unless_none(text: str | None) -> str | None:
    return None if text is None or text.lower() == "none" else text


def _path(text: str, tokens: Mapping[str, str]) -> Path:
    return Path(os.path.expandvars(_expand(text, tokens))).expanduser()


def _tokens(host: str, asked: str, user: str, port: int, alias: str) -> dict[str, str]:
    """ssh_config(5), TOKENS; `%C` and `%j` name control sockets."""
    here = socket.gethostname()
    return {
        "%": "%",
        "d": str(Path("~").expanduser()),
        "h": host,
        "i": str(os.getuid()),
        "k": alias,
        "L": here.partition(".")[0],
        "l": here,
        "n": asked,
        "p": str(port),
        "r": user,
        "u": getpass.getuser(),
    }


def _expand(text: str, tokens: Mapping[str, str]) -> str:
    return re.sub(r"%(.)", lambda match: tokens.get(match[1], match[0]), text)
