"""All that changes a board or reads from it, each as one call: for boards that lie."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from boards import board_at
from canaries import OWN_ROOTS, USERS_ROOTS, users_home
from lying_board import OTHER_SHELLS, LyingDevice, UsersShell
from workplace import bundle

from toolkit.devices import Home, find_home, locked, open_home, probe, scratch
from toolkit.devices.device import Device, check
from toolkit.devices.digests import sha256_of
from toolkit.devices.framed import FramedDevice
from toolkit.devices.home import push_bytes
from toolkit.devices.python_agent import install_python_agent
from toolkit.devices.releases import lock
from toolkit.devices.releases.health import read_status
from toolkit.devices.releases.release import activate, collect, install, rollback
from toolkit.devices.releases.signature import trust
from toolkit.devices.releases.transfer import forget, send
from toolkit.errors import DeployError
from toolkit.targets import Target

Verb = Callable[[Device, Target, Path], None]
LAYERS = ("transport", "answers", *OTHER_SHELLS)


@dataclass(frozen=True)
class Told:
    """One verb on a board that lies: which lies it took, how it ended, and which canaries it cost."""

    verb: str
    layer: str
    root: str
    lies: int
    refused: str | None
    touched: list[str]


def make_material(folder: Path) -> Path:
    """Bundles, a key and a used board's folder, made once."""
    for seed in range(4):
        bundle(folder / f"bundle{seed}", size=1000, seed=seed)
    (folder / "key.pub").write_text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJunk of-nobody\n")
    with users_home(OWN_ROOTS[0]) as home:
        device = FramedDevice(UsersShell(home.folder), "a board")
        _update(device, _target(home.root), folder)
        shutil.copytree(home.ours, folder / "used", symlinks=True)
    return folder


def tell(verb: str, layer: str, root: str, used: bool, share: float, chance: Random, material: Path) -> Told:
    """Do it on a fresh board. Whatever is raised besides DeployError is a bug, and is raised."""
    with users_home(root, material / "used" if used and root in OWN_ROOTS else None) as home:
        shell = UsersShell(home.folder, shutil.which(layer) if layer in OTHER_SHELLS else None)
        others = (home.folder, home.folder / "boards", home.folder / "work", home.ours.parent / "x")
        places = tuple(bytes(path) for path in (home.ours, *others))
        device: Device
        if layer == "answers":
            device = liar = LyingDevice(FramedDevice(shell, "a board"), chance, share, places)
        else:
            liar = LyingDevice(shell, chance, share, places)
            device = FramedDevice(liar, "a board")
        refused = None
        try:
            VERBS[verb](device, _target(root), material)
        except DeployError as error:
            refused = str(error)
        return Told(verb, layer, root, liar.lies, refused, home.touched())


def _target(root: str) -> Target:
    return board_at({"transport": "ssh", "host": "nowhere"}, root=root)


def _status(device: Device, target: Target, material: Path) -> None:
    home = find_home(device, target)
    if home:
        read_status(home)


def _unlock(device: Device, target: Target, material: Path) -> None:
    lock.unlock(open_home(device, target))


def _rollback(device: Device, target: Target, material: Path) -> None:
    with locked(open_home(device, target)) as home:
        rollback(home)


def _install(device: Device, target: Target, material: Path) -> None:
    with locked(open_home(device, target)) as home:
        _serve(home, material / "bundle3")


def _update(device: Device, target: Target, material: Path) -> None:
    with locked(open_home(device, target)) as home:
        for seed in range(3):
            _serve(home, material / f"bundle{seed}")


def _serve(home: Home, made: Path) -> None:
    activate(home, install(home, made).digest)


def _collect(device: Device, target: Target, material: Path) -> None:
    with locked(open_home(device, target)) as home:
        collect(home, 2)


def _send(device: Device, target: Target, material: Path) -> None:
    file = material / "bundle3" / "infer.onnx"
    with locked(open_home(device, target)) as home:
        send(home, {sha256_of(file): file})
        forget(home, [sha256_of(file)])


def _trust(device: Device, target: Target, material: Path) -> None:
    trust(open_home(device, target), material / "key.pub")


def _agent(device: Device, target: Target, material: Path) -> None:
    probe(install_python_agent(open_home(device, target), target))


def _scratch(device: Device, target: Target, material: Path) -> None:
    home = open_home(device, target)
    with scratch(home, "x") as path:
        push_bytes(home, b"x", path)
        check(home.run(f"cat {home.within(path)}"), "reading it", home.where)


VERBS: dict[str, Verb] = {
    "status": _status,
    "unlock": _unlock,
    "rollback": _rollback,
    "install": _install,
    "update": _update,
    "collect": _collect,
    "send": _send,
    "trust": _trust,
    "agent": _agent,
    "scratch": _scratch,
}
ROOTS = (*OWN_ROOTS, *USERS_ROOTS)
