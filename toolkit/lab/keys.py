"""The two key pairs of a board: its own host key, and the one that its owner logs in with."""

from pathlib import Path

from toolkit.lab.board import HOST_KEY, IDENTITY, KNOWN_HOSTS
from toolkit.lab.tools import run_tool


def ensure_keys(folder: Path, host: str, port: int) -> None:
    """Make the key pairs that are absent, and write `known_hosts` for that address from the host key.

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


def known_hosts_line(host: str, port: int, public_key: str) -> str:
    """One line of a known_hosts file; OpenSSH writes a port other than 22 as `[host]:port`."""
    kind, key = public_key.split()[:2]
    address = host if port == 22 else f"[{host}]:{port}"
    return f"{address} {kind} {key}\n"
