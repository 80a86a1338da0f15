"""Which board the adb server shall reach for a target, and a stream to it, or one BoardError that says why not."""

import os
import re
import time
from contextlib import suppress
from dataclasses import dataclass

from toolkit.devices.adb.server import Lost, Refused, Stream, ask, open_server, states
from toolkit.errors import BoardError
from toolkit.targets import AdbPlace, Target

_SETTLE_S = 5.0
_PAUSE_S = 0.05
_CONNECTED = ("connected to", "already connected to")
_SILENT = ("offline", "connecting")  # the states in which a new connection may help

# What each state of a board means, and what helps.
_ACCEPT = "Unlock it and accept this computer's key in its dialog; no dialog: `adb kill-server`, and run again."
_OFFLINE = ("the board is offline: adb sees it, but it does not answer", "Reconnect its cable or restart it.")
_STATES = {
    "unauthorized": ("the board does not trust this computer's adb key yet", _ACCEPT),
    "authorizing": ("the board has not said yet whether it trusts this computer's adb key", _ACCEPT),
    "offline": _OFFLINE,
    "connecting": _OFFLINE,
    "no permissions": (
        "this user may not open the board's USB device",
        "`apt-get install android-sdk-platform-tools-common`, join the group plugdev, reconnect the cable.",
    ),
}


@dataclass(frozen=True)
class Address:
    """A board as the adb server names it."""

    serial: str
    where: str

    @property
    def is_network(self) -> bool:
        """Whether adb reaches it over TCP, so that we may connect it."""
        return re.fullmatch(r".+:\d+", self.serial) is not None


def address_of(target: Target) -> Address:
    """The board of a target whose place is adb's. Raises BoardError if none is named and not exactly one attached."""
    assert isinstance(target.place, AdbPlace)
    serial = target.place.serial or os.environ.get("ANDROID_SERIAL") or _only_board(target)  # adb's own rule
    return Address(serial, f"target {target.name} (adb {serial})")


def _only_board(target: Target) -> str:
    """The one that is online or, if none is, the one that there is. Raises BoardError if that is no single one."""
    seen = _seen()
    online = [serial for serial, state in seen.items() if state == "device"] or list(seen)
    if len(online) == 1:
        return online[0]
    where = f"target {target.name} (adb)"
    if not seen:
        raise BoardError(
            "adb sees no board",
            where=where,
            next="Attach it and switch on USB debugging, or say where it is: `--host HOST:PORT`, `deploy connect`.",
        )
    raise BoardError(
        f"more than one board is attached: {_listed(seen)}",
        where=where,
        next=f"Say which: `--host adb:{online[0]}`, ANDROID_SERIAL, or `serial` under [place] in its target file.",
    )


def open_service(address: Address, service: str) -> Stream:
    """A stream to a service of the board, connecting to it first where needed.

    Raises BoardError if the board cannot be reached, and then it was not asked for the service; Refused, Lost.
    """
    stream = _reach(address)
    try:
        stream.request(service)
    except BaseException as error:
        stream.__exit__()
        if isinstance(error, Lost) and address.is_network:
            _disconnect(address)
        raise
    return stream


def _reach(address: Address) -> Stream:
    """A stream that leads to the board. Raises BoardError, Lost.

    For a moment after a loss the server takes a dead connection for a live one, or tries to mend it by itself.
    """
    deadline = time.monotonic() + _SETTLE_S
    said = None
    while True:
        try:
            return _open_board(address)
        except Refused as refused:
            answer = said or str(refused)
        seen = _seen()
        state = seen.get(address.serial)
        in_vain = said is not None and state is None and not said.startswith(_CONNECTED)
        may_help = state == "device" or (address.is_network and state in (None, *_SILENT))
        if in_vain or not may_help or time.monotonic() > deadline:
            raise _explained(address, seen, answer)
        if state != "device":
            _disconnect(address)
            said = _connect(address)
        time.sleep(_PAUSE_S)


def _open_board(address: Address) -> Stream:
    stream = open_server()
    try:
        stream.request(f"host:transport:{address.serial}")
    except BaseException:
        stream.__exit__()
        raise
    return stream


def _disconnect(address: Address) -> None:
    """Else the server goes on trusting a connection on which nobody answers any more."""
    with suppress(Refused, Lost):
        ask(f"host:disconnect:{address.serial}")


def _connect(address: Address) -> str:
    """What the server says to that."""
    try:
        return ask(f"host:connect:{address.serial}")
    except Refused as refused:
        return str(refused)


def _explained(address: Address, seen: dict[str, str], said: str) -> BoardError:
    state = seen.get(address.serial)
    known = next((known for known in _STATES if (state or "").startswith(known)), None)
    if known:
        what, cure = _STATES[known]
    elif state:
        what, cure = f"the board is in the state '{state}'", "Boot it: `adb reboot`."
    elif address.is_network:
        what = f"cannot reach the board: {said}"
        cure = "Check that it is on, on this network, and that its adbd listens there: `adb tcpip 5555` over USB."
    else:
        what = f"adb sees no board with that serial; it sees {_listed(seen) or 'none at all'}"
        cure = "Attach it and switch on USB debugging, or say which one it is: `--host adb:SERIAL`."
    return BoardError(what, where=address.where, next=cure)


def _seen() -> dict[str, str]:
    try:
        return states()
    except (Refused, Lost) as error:
        raise BoardError(f"does not list its boards: {error}", where="adb server", next="`adb kill-server`") from None


def _listed(seen: dict[str, str]) -> str:
    return ", ".join(serial if state == "device" else f"{serial} ({state})" for serial, state in sorted(seen.items()))
