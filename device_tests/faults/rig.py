"""An emulated board with a disk that outlives power cuts, reached by all three transports through relays."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.relay import Relay
from toolkit import lab
from toolkit.devices import Home, visit
from toolkit.lab.keys import known_hosts_line
from toolkit.targets import AdbPlace, SshPlace, Target

ROOT = "/root/of faults"
TRANSPORTS = {"ssh": "emulated-pi", "adb": "emulated-android", "serial": "emulated-console"}


@dataclass(frozen=True)
class Rig:
    """`targets` lead through `relays`, by transport; `direct` is SSH without one, for looking and for striking."""

    machine: lab.Machine
    targets: dict[str, Target]
    relays: dict[str, Relay]
    direct: Target
    folder: Path

    def boot(self) -> None:
        """Power it on if it is off, and wait until it answers."""
        lab.power_on(self.machine, on_step=lambda _: None)

    @contextmanager
    def look(self) -> Iterator[Home]:
        """The board over a connection of its own."""
        with visit(self.direct) as home:
            assert home, "the campaign deploys before it looks"
            yield home


@contextmanager
def open_rig(folder: Path) -> Iterator[Rig]:
    """A machine of its own; switched off at the end.

    Raises BoardUnavailable where it cannot be built.
    """
    machine = lab.Machine("faults", folder / "machine", keep_disk=True)
    board = lab.power_on(machine, on_step=lambda _: None)
    ports = {"ssh": board.ssh_port, "adb": board.adb_port, "serial": board.serial_port}
    relays = {transport: Relay(port) for transport, port in ports.items()}
    direct = _own(lab.target_on(board, TRANSPORTS["ssh"]))
    targets = {
        name: _through(relays[name], _own(lab.target_on(board, t)), folder, board) for name, t in TRANSPORTS.items()
    }
    try:
        yield Rig(machine, targets, relays, direct, folder)
    finally:
        for relay in relays.values():
            relay.close()
        lab.power_off(machine)


def _own(target: Target) -> Target:
    """The campaign's folder on the board, the same whichever way it is reached, and no lab to advise."""
    return target.model_copy(update={"root": ROOT})


def _through(relay: Relay, target: Target, folder: Path, board: lab.Board) -> Target:
    place = target.place
    if isinstance(place, SshPlace):
        known_hosts = folder / "known_hosts"
        key = (board.folder / "ssh_host_ed25519_key.pub").read_text()
        known_hosts.write_text(known_hosts_line("127.0.0.1", relay.port, key))
        changes: dict[str, object] = {"port": relay.port, "known_hosts_file": str(known_hosts)}
    elif isinstance(place, AdbPlace):
        changes = {"serial": f"127.0.0.1:{relay.port}"}
    else:
        changes = {"device": f"socket://127.0.0.1:{relay.port}"}
    return target.model_copy(update={"place": place.model_copy(update=changes)})
