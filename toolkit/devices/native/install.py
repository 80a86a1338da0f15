"""The runner's folder on a board, named by what it was built from and checked file by file."""

from collections.abc import Callable

from toolkit.devices.agent_client import Agent
from toolkit.devices.applications import LIBRARY, led
from toolkit.devices.device import check
from toolkit.devices.digests import sha256_of, sums
from toolkit.devices.disk import require_room
from toolkit.devices.home import Home, scratch
from toolkit.devices.native.build import APPLICATION, build_runner, runner_command
from toolkit.devices.releases.transfer import arrived, forget, send
from toolkit.units import format_bytes


def install_native_agent(home: Home, on_note: Callable[[str], None]) -> Agent:
    """Build the runner for the board's machine if need be, and put it there once, with its loader and libraries.

    Raises BadInput without a compiler, BoardError.
    """
    built = build_runner(home.machine)
    paths = {str(path.relative_to(built)): path for path in sorted(built.rglob("*"))}
    files = {name: sha256_of(path) for name, path in paths.items() if path.is_file() and not path.is_symlink()}
    links = {name: str(path.readlink()) for name, path in paths.items() if path.is_symlink()}
    folder = home.at("runner", built.name)
    if not _is_whole(home, folder, files, links):
        size = sum(paths[name].stat().st_size for name in files)
        require_room(home, 2 * size, "the runner")
        on_note(f"sending the native runner to the board (once, {format_bytes(size)})")
        send(home, {sha: paths[name] for name, sha in files.items()})
        with scratch(home, "runner") as part:
            here = home.within(part)
            steps = ["set -e", f"mkdir -p {here}/{APPLICATION}"]
            for name, sha in files.items():
                steps.append(f"cp {home.within(arrived(home, sha))} {home.within(f'{part}/{name}')}")
            steps += [f"ln -s {to} {home.within(f'{part}/{name}')}" for name, to in links.items()]
            there = home.within(folder)
            steps += [f"chmod 755 {here}/*", "sync", f"[ ! -e {there} ] || mv {there} {here}.old"]
            steps += [f"mv {here} {there}", "sync", f"rm -rf {here}.old"]
            # Those of other versions go, but not before applications are led away from them.
            steps += [f"if [ -L {LIBRARY} ]; then {led(LIBRARY, f'{there}/{APPLICATION}')} || exit 1; fi"]
            steps += [f'for old in runner/*; do [ "$old" = {there} ] || rm -rf "$old"; done']
            check(home.run("\n".join(steps), timeout_s=300), "installing the runner", home.where)
        forget(home, list(files.values()))
    return Agent(home, runner_command(folder, home.machine), library=f"{folder}/{APPLICATION}")


def _is_whole(home: Home, folder: str, files: dict[str, str], links: dict[str, str]) -> bool:
    if sums(home, [f"{folder}/{name}" for name in files]) != list(files.values()):
        return False
    return home.run(" && ".join(f"[ -e {home.within(f'{folder}/{name}')} ]" for name in links)).status == 0
