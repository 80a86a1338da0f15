"""The emulated board with a folder of the tests' own on it."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from workplace import CHECKOUT, Workplace

from toolkit.cache import cache_folder
from toolkit.devices import connect, open_home
from toolkit.devices.device import Device
from toolkit.targets import Target


@dataclass(frozen=True)
class OwnRoot:
    """It is a target of that name in the working folder `place`."""

    name: str
    root: str
    place: Workplace
    device: Device

    def deploy(self, *arguments: str) -> str:
        """Stdout of a command line that succeeds, with the cache of the user who owns the lab."""
        done = self.place.deploy(*arguments, "--target", self.name, EDGE_DEPLOY_CACHE=str(cache_folder()))
        assert done.returncode == 0, done.stderr
        return done.stdout

    def apply(self, script: str, handed: str, timeout_s: float) -> str:
        """Stdout of an application there with one argument; it finds no packages but those that `deploy` put there."""
        environment = f"PYTHONPATH='{self.root}/edge_runtime.pyz' EDGE_DEPLOY_ROOT='{self.root}'"
        done = self.device.run(
            f"{environment} python3 -c {shlex.quote(script)} {shlex.quote(handed)}", timeout_s=timeout_s
        )
        assert done.status == 0, done.stderr
        return done.stdout.decode()


@contextmanager
def own_root(board: Target, place: Workplace, name: str) -> Iterator[OwnRoot]:
    """A new folder, with ONNX Runtime and NumPy if the board has them: sending those is another test's business."""
    root = f"/root/tests of {name}"
    target = board.model_copy(update={"name": name, "root": root})
    said = (CHECKOUT / "targets" / "emulated-pi.toml").read_text().replace('name = "emulated-pi"', f'name = "{name}"')
    (place.folder / "targets" / f"{name}.toml").write_text(said.replace("clock =", f'root = "{root}"\nclock =', 1))
    device = connect(target)
    device.run(f"rm -rf '{root}'")
    open_home(device, target)
    device.run(f"for each in ~/.edge-deploy/packages/*; do [ -d $each/numpy ] && ln -s $each '{root}/packages/'; done")
    try:
        yield OwnRoot(name, root, place, device)
    finally:
        device.run(f"rm -rf '{root}'")
        device.close()
        for path in (cache_folder() / "profiles").glob(f"{name}-*.json"):
            path.unlink()
