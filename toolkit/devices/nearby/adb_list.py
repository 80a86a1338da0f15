"""Boards that the adb server sees."""

from toolkit.devices.adb.server import Lost, Refused, states
from toolkit.devices.nearby.sighting import Sighting
from toolkit.errors import BoardError

_HINDRANCES = {
    "device": "",
    "unauthorized": "accept this computer's key on its screen",
    "offline": "plug it in again; it does not answer",
    "no permissions": "install Android's udev rules: this user may not open its USB port",
}


def adb_boards() -> list[Sighting]:
    """All of them, those that cannot be used yet with what is in the way. Raises BoardError without a server."""
    try:
        found = states()
    except (Lost, Refused) as error:
        raise BoardError(
            f"the adb server does not tell its boards: {error}", where="adb", next="See what `adb devices` says."
        ) from None
    return [sighting_of(serial, state) for serial, state in sorted(found.items())]


def sighting_of(serial: str, state: str) -> Sighting:
    """One line of `adb devices`."""
    key = next((known for known in _HINDRANCES if state.startswith(known)), None)
    hindrance = f"its state is {state}" if key is None else _HINDRANCES[key]
    return Sighting("adb", serial, f"adb:{serial}", hindrance)
