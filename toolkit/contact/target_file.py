"""A board that was met, as `targets/NAME.toml`."""

import ipaddress
import json
import re
from datetime import date
from pathlib import Path

from toolkit.contact.meet import Met
from toolkit.errors import BadInput
from toolkit.targets import Family, Place, SshPlace, read_target

_FOLDER = Path("targets")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_HERE = "host"


def target_name(place: Place, family: Family) -> str:
    """What to call it: as its host is called; as its family if the host is a number, or there is none."""
    host = place.host if isinstance(place, SshPlace) else ""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        name = re.sub(r"[^a-z0-9-]+", "-", host.lower().partition(".")[0]).strip("-")
        return family.name if name in ("", _HERE) else name
    return family.name


def require_free(name: str, force: bool) -> Path:
    """Where the file of that name goes. Raises BadInput if there is one already, unless by `force`, or for a name."""
    if not _NAME.fullmatch(name):
        raise BadInput(f"'{name}' can name no target", next="Give --name small letters, digits and hyphens.")
    if name == _HERE:
        raise BadInput(f"'{name}' means this machine, for every verb without --target", next="Give another --name.")
    path = _FOLDER / f"{name}.toml"
    if path.exists() and not force:
        raise BadInput(
            "this target exists already",
            where=str(path),
            next="Give another --name, or --force to replace it.",
        )
    return path


def target_text(met: Met, written: date) -> str:
    """The file: its family, what differs from it, and the place."""
    what = ", ".join(each for each in (met.survey.model, met.survey.system, met.survey.machine) if each)
    lines = [f"# {met.place}: {what}; written by `deploy connect` on {written}", f"family = {_quoted(met.family.name)}"]
    if met.python:
        lines.append(f"python = {_quoted(met.python)}")
    lines += ["", "[place]"]
    fields = met.place.model_dump(exclude_none=True)
    lines += [f"{key} = {value if isinstance(value, int) else _quoted(value)}" for key, value in fields.items()]
    return "\n".join(lines) + "\n"


def write_target(met: Met, path: Path, written: date) -> None:
    """Raises BadInput if it cannot be written."""
    try:
        path.parent.mkdir(exist_ok=True)
        path.write_text(target_text(met, written), encoding="utf-8")
    except OSError as error:
        raise BadInput(
            f"this file cannot be written: {error.strerror}", where=str(path), next="Run in a folder of your own."
        ) from None
    read_target(path)


def _quoted(text: str) -> str:
    """JSON's strings are TOML's, too, but for its pairs of escapes beyond 16 bits."""
    return json.dumps(text, ensure_ascii=False)
