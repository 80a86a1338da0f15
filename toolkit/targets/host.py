"""A board's address as `--host` takes it: over SSH, adb or a serial line."""

from toolkit.destination import FORM, parse_destination
from toolkit.errors import BadInput
from toolkit.targets.place import AdbPlace, LabPlace, LocalPlace, Place, SerialPlace, SshPlace

FORMS = f"{FORM}, adb:SERIAL, /dev/ttyUSB0 or socket://HOST:PORT"
_ADB = "adb:"
# A port, or what pyserial makes look like one; of any other scheme it can only say that it does not know it.
_LINES = ("/dev/", "socket://", "rfc2217://")


def place_at(text: str, usual: Place | None = None) -> Place:
    """The place that `text` names. What it does not say (a user, a key, a line's speed) is as in the `usual` place.

    `HOST[:PORT]` is reached over SSH, or over adb where that is usual. Raises BadInput if `text` is no address, or
    the usual place has none: this machine, the emulated board.
    """
    text = _said(text.strip(), text)
    if isinstance(usual, LocalPlace | LabPlace):
        raise BadInput(
            "this target is no board that is reached over a network or a cable",
            where=f"--host {text}",
            next=f"Say what the board is: `--target FAMILY --host {text}`; or `deploy connect {text}` finds out.",
        )
    if text.startswith(_ADB) or (isinstance(usual, AdbPlace) and _is_plain(text)):
        return AdbPlace(serial=_said(text.removeprefix(_ADB), text))
    if text.startswith(_LINES):
        known = usual.model_dump() if isinstance(usual, SerialPlace) else {}
        return SerialPlace.model_validate(known | {"device": text})
    named = parse_destination(text)
    known = usual.model_dump() if isinstance(usual, SshPlace) else {}
    own = {"host": named.host, "port": named.port} | ({"user": named.user} if named.user else {})
    return SshPlace.model_validate(known | own)


def looks_like_an_address(text: str) -> bool:
    """Whether somebody may have meant it for one: no target's name has such characters."""
    try:
        place_at(text)
    except BadInput:
        return False
    return any(character in text for character in "@.:/")


def _is_plain(text: str) -> bool:
    return "@" not in text and "/" not in text


def _said(address: str, text: str) -> str:
    if not address.isprintable() or not address or " " in address:
        raise BadInput(f"'{text}' names no board", next=f"Write {FORMS}.")
    return address
