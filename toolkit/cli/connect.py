"""`deploy connect` meets a board at an address and writes its target."""

import json
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from toolkit.cli.checks_table import checks_table
from toolkit.cli.console import stderr, stdout
from toolkit.cli.options import AsJson
from toolkit.contact import Met, meet, require_free, target_name, write_target
from toolkit.devices.ssh import HostKey
from toolkit.errors import BoardError
from toolkit.targets import AdbPlace, Place, load_family
from toolkit.targets.host import FORMS, place_at

EPILOG = (
    "Examples:  [bold]deploy connect pi@192.168.1.23[/bold]\n\n"
    "[bold]deploy connect adb:0123456789ABCDEF --name phone[/bold]\n\n"
    "[bold]deploy connect /dev/ttyUSB0 --user pi --password-file ~/pi-password[/bold]\n\n"
    "[bold]deploy connect board.local --accept-host-key SHA256:abc --no-install-key --json[/bold]   (asks nothing)"
)
SOME_FAILED = 3


def connect(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help=f"{FORMS}, or a host of ~/.ssh/config.")],
    name: Annotated[
        str | None, typer.Option(help="Name of the target; the host's or the family's if left out.")
    ] = None,
    family: Annotated[str | None, typer.Option(help="What the board is; recognised if left out.")] = None,
    user: Annotated[str | None, typer.Option(help="Who logs in.")] = None,
    password_file: Annotated[str | None, typer.Option(help="File whose first line is the password.")] = None,
    accept_host_key: Annotated[
        str | None, typer.Option(metavar="FINGERPRINT", help="Accept a new host key if it is this one: SHA256:...")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Accept a new host key, whatever it is.")] = False,
    install_key: Annotated[
        bool | None,
        typer.Option("--install-key/--no-install-key", help="Let your public key log in; asked if left out."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a target of that name.")] = False,
    as_json: AsJson = False,
) -> None:
    """Meet a board: verify who it is, log in, look what it is and what it lacks, write targets/NAME.toml.

    Nothing is installed there, but for your public key if you say so. Exits with 3 if something is missing.
    """
    place = _with(place_at(address), user, password_file)
    if name:
        require_free(name, force)
    met = meet(place, load_family(family) if family else None, _Answers(accept_host_key, yes, install_key))
    name = name or target_name(place, met.family)
    path = require_free(name, force)
    write_target(met, path, datetime.now(UTC).date())
    if as_json:
        typer.echo(json.dumps(_told(name, path, met)))
    else:
        _show(name, path, met)
    if not met.ok:
        raise typer.Exit(SOME_FAILED)


@dataclass(frozen=True)
class _Answers:
    """From the options; what they leave open is asked where there is a terminal."""

    fingerprint: str | None
    yes: bool
    install: bool | None

    def trust(self, key: HostKey, where: str) -> None:
        """See `toolkit.contact.Answers`."""
        shown = f"{key.fingerprint} ({key.kind})"
        accept = f"If it is the board's own, give --accept-host-key {key.fingerprint}."
        if self.yes or self.fingerprint == key.fingerprint:
            return
        if self.fingerprint:
            raise BoardError(
                f"this board shows another host key: {shown}", where=where, next=f"Check the address. {accept}"
            )
        if sys.stdin.isatty():
            stderr().print(f"The board shows the host key {escape(shown)}.")
            stderr().print("Compare it with `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on its own console.")
            if typer.confirm("Is it the board's own?", err=True):
                return
        raise BoardError(f"the host key of this board is not known: {shown}", where=where, next=accept)

    def key_to_install(self, keys: tuple[Path, ...]) -> Path | None:
        """See `toolkit.contact.Answers`."""
        if not keys:
            if self.install:
                stderr().print("There is no public key to install: `ssh-keygen -t ed25519` makes one.", markup=False)
            return None
        wanted = self.install
        if wanted is None and sys.stdin.isatty():
            wanted = typer.confirm(f"May {keys[0]} log in there from now on, without a password?", err=True)
        return keys[0] if wanted else None


def _with(place: Place, user: str | None, password_file: str | None) -> Place:
    own = {"user": user, "password_file": password_file}
    given = {key: value for key, value in own.items() if value}
    if given and isinstance(place, AdbPlace):
        raise typer.BadParameter("boards over adb know no user and no password")
    return place.model_copy(update=given)


def _told(name: str, path: Path, met: Met) -> dict[str, object]:
    return {
        "target": name,
        "file": str(path),
        "family": met.family.name,
        "place": met.place.model_dump(exclude_none=True),
        "ok": met.ok,
        "checks": [asdict(each) for each in met.checks],
        "key_installed": str(met.key_installed) if met.key_installed else None,
    }


def _show(name: str, path: Path, met: Met) -> None:
    console = stdout()
    console.print(checks_table(f"{met.survey.model or met.place}: {met.family.name}", met.checks))
    if met.key_installed:
        console.print(f"{met.key_installed} may log in from now on.", markup=False)
    console.print(f"Written: {path}", markup=False)
    next_step = f"deploy --target {name}" if met.ok else f"deploy doctor --target {name}   (once that is mended)"
    console.print(f"Next: {next_step}", markup=False)
