"""Which agent a runtime needs, and putting it on the board."""

import shlex
from collections.abc import Callable

from toolkit.devices.agent_client import Agent
from toolkit.devices.device import check
from toolkit.devices.digests import sha256_of, sums
from toolkit.devices.disk import require_room
from toolkit.devices.home import Home, scratch
from toolkit.devices.python_agent import install_python_agent
from toolkit.devices.transfer import arrived, forget, send
from toolkit.targets import Target


def install_agent(home: Home, target: Target, kind: str, on_note: Callable[[str], None]) -> Agent:
    """The agent of that kind, `python` or `native`, on the board. Raises BoardError, or BadInput without a compiler."""
    return install_native_agent(home, on_note) if kind == "native" else install_python_agent(home, target)


def install_native_agent(home: Home, on_note: Callable[[str], None]) -> Agent:
    """Build the runner for the board's machine if need be, and put it there once, with its loader and libraries."""
    from toolkit.devices.runner_build import build_runner, runner_command

    built = build_runner(home.machine)
    files = {path.name: sha256_of(path) for path in sorted(built.iterdir())}
    folder = home.at("runner", built.name[:16])
    names = list(files)
    if sums(home, [f"{folder}/{name}" for name in names]) != [files[name] for name in names]:
        size = sum(path.stat().st_size for path in built.iterdir())
        require_room(home, 2 * size, "the runner")
        on_note(f"sending the native runner to the board (once, {size / 1e6:.0f} MB)")
        send(home, {sha: built / name for name, sha in files.items()})
        with scratch(home, "runner") as part:
            steps = ["set -e", f"mkdir {shlex.quote(part)}"]
            steps += [
                f"cp {shlex.quote(arrived(home, sha))} {shlex.quote(f'{part}/{name}')}" for name, sha in files.items()
            ]
            steps += [f"chmod 755 {shlex.quote(part)}/*", "sync", f"rm -rf {shlex.quote(folder)}"]
            steps += [f"mv {shlex.quote(part)} {shlex.quote(folder)}", "sync"]
            check(home.device.run("\n".join(steps), timeout_s=300), "installing the runner", home.where)
        forget(home, list(files.values()))
    return Agent(home, runner_command(folder, home.machine))
