"""What tests of several rooms share."""

import importlib.util
import os
import platform
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import proven
import pytest
import tiers
from adb_client import Adb, own_adb
from hypothesis import HealthCheck, settings
from openssh import SSHD, Sshd, free_port, make_key, stop_sshd, wait_for_banner, with_login_shell
from tools import absent, need
from workplace import RUN, Workplace, make_workplace

from toolkit import lab
from toolkit.cache import cache_folder
from toolkit.devices.native.toolchain import find_toolchain
from toolkit.errors import BadInput
from toolkit.targets import Target, load_target

# A shell starts its background jobs deaf to Ctrl-C, and what they start inherits that: tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# No deadline and no "too slow": how long an example takes says how busy the machine is, not what is wrong.
settings.register_profile("fast", max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("nightly", settings.get_profile("fast"), max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))

_DESELECTED, _PROVEN = pytest.StashKey[list[pytest.Item]](), pytest.StashKey[list[pytest.Item]]()
# What a process of pytest-xdist has to say at the end: each of them collects all tests.
_SAID = pytest.StashKey[list[str]]()


def pytest_configure() -> None:
    # One emulated board serves one process; it lies in the cache, so that a second process needs a cache of its own.
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    if worker != "gw0":
        os.environ["EDGE_DEPLOY_CACHE"] = f"{cache_folder()}-{worker}"


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses by what is marked here
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        tiers.mark(item)
    items[:], config.stash[_PROVEN] = proven.part(items)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    proven.record(report)


def pytest_deselected(items: list[pytest.Item]) -> None:
    if items:
        items[0].config.stash.setdefault(_DESELECTED, []).extend(items)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if (told := getattr(session.config, "workeroutput", None)) is not None:
        told["said"] = _not_run(session.config)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    node.config.stash[_SAID] = getattr(node, "workeroutput", {}).get("said", [])


def _not_run(config: pytest.Config) -> list[str]:
    said = []
    if before := config.stash.get(_PROVEN, []):
        said.append(f"PASSED BEFORE: {len(before)} tests, not run again")
    if left_out := tiers.left_out(config.stash.get(_DESELECTED, [])):
        said.append(f"NOT SELECTED HERE: {left_out} (`make test-all` runs them; see CONTRIBUTING.md)")
    return said


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = Counter(str(report.longrepr[2]) for report in terminalreporter.stats.get("skipped", ()))
    for reason, count in skipped.most_common():
        terminalreporter.write_line(f"{count} SKIPPED: {reason.removeprefix('Skipped: ')}".replace("\n", " "))
    config = terminalreporter.config
    for line in config.stash.get(_SAID, []) or _not_run(config):
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def compiler() -> None:
    """What builds the native runner for this machine."""
    if importlib.util.find_spec("executorch") is None:
        absent("NO EXECUTORCH: its programs are NOT tested; pip install 'edge-deploy-toolkit[executorch]'")
    try:
        find_toolchain(platform.machine())
    except BadInput as error:
        absent(f"NO COMPILER: the native runner is NOT tested; {error.what}. {error.next}")


@pytest.fixture(scope="session")
def emulated_pi() -> Iterator[Target]:
    """The emulated board, booted; one that ran before the tests is used and left running.

    Skips where this machine cannot build or run it, unless EDGE_DEPLOY_REQUIRE_BOARD=1.
    """
    name = "emulated-pi"
    was_running = lab.status(name) is not None
    try:
        lab.up(name, on_step=lambda _: None)
    except lab.BoardUnavailable as error:
        absent(f"NO EMULATED BOARD: {error.what}. {error.next or ''}".strip())
    yield load_target(name)
    if not was_running:
        lab.down(name)


@pytest.fixture(scope="session")
def adb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Adb]:
    """The real adb client and a server of its own."""
    need("adb", "adb", "boards over adb are")
    with own_adb(tmp_path_factory.mktemp("adb")) as client:
        yield client


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder and no agent, so that the developer's own keys and configuration play no part."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return folder


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    """A fresh working folder."""
    (tmp_path / "place").mkdir()
    return make_workplace(tmp_path / "place")


@pytest.fixture(scope="session")
def deployed_place(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A working folder from which RUN has deployed, its result as `done.json`, what it said as `said.txt`.

    For tests that only look: those that change something take a copy.
    """
    made = make_workplace(tmp_path_factory.mktemp("deployed"))
    done = made.deploy(*RUN, "--json")
    assert done.returncode == 0, done.stderr
    (made.folder / "done.json").write_text(done.stdout)
    (made.folder / "said.txt").write_text(done.stderr)
    return made


@pytest.fixture
def measured_place(deployed_place: Workplace, tmp_path: Path) -> Workplace:
    """A fresh working folder and board, but with all in its cache that RUN comes by."""
    (tmp_path / "measured").mkdir()
    made = make_workplace(tmp_path / "measured")
    shutil.copytree(deployed_place.cache, made.cache)
    return made


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "small disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"NO MOUNT PERMITTED: a full disk is NOT tested; {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.fixture
def start_sshd(tmp_path: Path, home: Path) -> Iterator[Callable[..., Sshd]]:
    """Starts servers, each with its own host key; the client's key and known_hosts are shared."""
    if SSHD is None:
        absent("NO SSHD: the ssh transport is NOT tested; apt-get install openssh-server")
    Path("/run/sshd").mkdir(exist_ok=True) if os.getuid() == 0 else None
    identity = make_key(tmp_path / "id_ed25519")
    known_hosts = tmp_path / "known_hosts"
    servers: list[subprocess.Popen[bytes]] = []

    def start(
        port: int = 0,
        *,
        known: bool = True,
        sftp: bool = True,
        shell: str | None = None,
        more: Sequence[str] = (),
    ) -> Sshd:
        folder = tmp_path / f"sshd-{len(servers)}"
        folder.mkdir()
        host_key = make_key(folder / "host_key")
        port = port or free_port()
        config = folder / "sshd_config"
        lines = (
            *more,
            f"Port {port}",
            "ListenAddress 127.0.0.1",
            f"HostKey {host_key}",
            f"AuthorizedKeysFile {identity}.pub",
            f"PidFile {folder / 'pid'}",
            "UsePAM no",
            "StrictModes no",
            "PasswordAuthentication no",
            f"SetEnv HOME={home}",
            *([f"Subsystem sftp internal-sftp -d {home}"] if sftp else []),
        )
        config.write_text("\n".join(lines) + "\n")
        command = [str(SSHD), "-D", "-e", "-f", str(config)]
        if shell:
            command = with_login_shell(shell, folder, command)
        process = subprocess.Popen(command, stderr=(folder / "log").open("wb"))
        servers.append(process)
        wait_for_banner(port, process, folder / "log")
        if known:
            key = host_key.with_suffix(".pub").read_text()
            known_hosts.write_text(f"[127.0.0.1]:{port} {key}")
        return Sshd(port, identity, known_hosts, config, process)

    yield start
    for process in servers:
        stop_sshd(process)


@pytest.fixture
def sshd(start_sshd: Callable[..., Sshd]) -> Sshd:
    """A running server that the client knows and that lets it in."""
    return start_sshd()
