"""How a board and its owner know each other: its host key, the key that logs in, and the password of root."""

import secrets
from pathlib import Path

from toolkit.lab.board import HOST_KEY, IDENTITY, KNOWN_HOSTS, PASSWORD
from toolkit.lab.tools import run_tool


def ensure_keys(folder: Path, host: str, port: int) -> None:
    """Make the keys and the password that are absent; write `known_hosts` for that address from the host key.

    Raises BoardUnavailable if ssh-keygen fails.
    """
    for name in (IDENTITY, HOST_KEY):
        private, public = folder / name, folder / f"{name}.pub"
        if not (private.exists() and public.exists()):
            private.unlink(missing_ok=True)
            public.unlink(missing_ok=True)
            comment = f"edge-deploy-lab {folder.name}"
            run_tool(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(private)],
                "making the board's keys",
            )
    line = known_hosts_line(host, port, (folder / f"{HOST_KEY}.pub").read_text())
    (folder / KNOWN_HOSTS).write_text(line)
    if not read_password(folder):
        (folder / PASSWORD).touch(mode=0o600)
        (folder / PASSWORD).write_text(f"{secrets.token_urlsafe(12)}\n")


def known_hosts_line(host: str, port: int, public_key: str) -> str:
    """One line of a known_hosts file; OpenSSH writes a port other than 22 as `[host]:port`."""
    kind, key = public_key.split()[:2]
    address = host if port == 22 else f"[{host}]:{port}"
    return f"{address} {kind} {key}\n"


def read_password(folder: Path) -> str:
    """Root's password, or nothing if none was made yet."""
    file = folder / PASSWORD
    return file.read_text().partition("\n")[0] if file.exists() else ""


def shadow_file(password: str) -> str:
    """The board's /etc/shadow, in which only root can log in. Raises BoardUnavailable if openssl fails."""
    made = run_tool(["openssl", "passwd", "-6", "-stdin"], "hashing the board's password", said=f"{password}\n")
    return f"root:{made.strip()}:19000:0:99999:7:::\nsshd:!:19000::::::\n"
