"""What machines read is one JSON object, whatever happens; what `--help` shows as an example runs."""

import os
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest
import typer.main
from workplace import FEW_STEPS, ROOMY, WHAT, Workplace, copy_workplace, local_home, one_object

from toolkit import __version__
from toolkit.cli.app import app
from toolkit.deployment import Deployment
from toolkit.devices.releases.lock import locked
from toolkit.frontier import Frontier


@pytest.fixture(scope="module")
def shared(deployed_place: Workplace, tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A working folder from which one release has been deployed, its result under a fixed name."""
    return copy_workplace(deployed_place, tmp_path_factory.mktemp("json"))


def test_a_run_is_one_object_that_is_its_result(shared: Workplace) -> None:
    result = Deployment.model_validate_json((shared.folder / "done.json").read_text())
    assert result.active
    [folder] = (shared.folder / "runs").iterdir()
    assert (folder / "result.json").read_text() == (shared.folder / "done.json").read_text()


def test_a_plan_is_one_object(shared: Workplace) -> None:
    done = shared.deploy("plan", *WHAT, *ROOMY, "--runs", "planned", "--json")
    assert done.returncode == 0, done.stderr
    [folder] = (shared.folder / "planned").iterdir()
    assert (folder / "result.json").read_text() == done.stdout
    assert (folder / "report.html").is_file()
    assert Deployment.model_validate(one_object(done.stdout)).active is False


def test_a_speedup_becomes_a_budget(shared: Workplace) -> None:
    """Whether anything keeps it is the machine's matter: it has measured so."""
    done = shared.deploy("plan", *WHAT, "--offline", "--speedup", "1.5", "--runs", "sped", "--json")
    assert done.returncode in (0, 4)
    assert re.search(r"p95 latency \S+ \S+: --speedup 1\.5\n", done.stderr)
    if done.returncode == 0:
        assert Deployment.model_validate(one_object(done.stdout)).latency_ms.source == "--speedup 1.5"
    else:
        assert "nearest feasible is --latency" in one_object(done.stdout)["next"]


def test_a_frontier_is_one_object_that_is_its_file_and_has_a_page(shared: Workplace) -> None:
    done = shared.deploy("plan", *WHAT, "--frontier", "--runs", "drawn", "--json")
    assert done.returncode == 0, done.stderr
    [folder] = (shared.folder / "drawn").iterdir()
    assert (folder / "frontier.json").read_text() == done.stdout
    frontier = Frontier.model_validate(one_object(done.stdout))
    assert frontier.dense.measured_ms is not None
    assert "12 queries of blobs" in (folder / "frontier.html").read_text()


def test_targets_are_one_object(shared: Workplace) -> None:
    found = one_object(shared.deploy("targets", "--json").stdout)
    assert {"desk", "host", "emulated-pi"} <= {each["name"] for each in found["targets"]}


def test_status_is_one_object(shared: Workplace) -> None:
    found = one_object(shared.deploy("status", "--target", "desk", "--json").stdout)
    assert found["target"] == "desk"
    assert found["current"] == shared.releases()["current"]
    assert found["previous"] is None


def test_a_page_drawn_again_is_one_object_that_names_it(shared: Workplace) -> None:
    done = shared.deploy("report", "done.json", "--out", "again.html", "--json")
    assert one_object(done.stdout) == {"page": "again.html"}
    assert (shared.folder / "again.html").is_file()


def test_whom_a_lock_was_taken_from_is_one_object(shared: Workplace) -> None:
    assert one_object(shared.deploy("unlock", "--target", "desk", "--json").stdout) == {
        "target": "desk",
        "was_held_by": None,
    }
    with locked(local_home(shared)):
        found = one_object(shared.deploy("unlock", "--target", "desk", "--json").stdout)
    assert found["was_held_by"]["pid"] == os.getpid()


@pytest.mark.parametrize(
    ("arguments", "exit_code", "error"),
    [
        (("rollback", "--target", "desk"), 3, "no previous release"),
        (("status", "--target", "dsek"), 2, "'dsek'"),
        (("--latency", "5 parsecs"), 2, "parsecs"),
        (("plan", "--runtime", "abacus"), 2, "abacus"),
        (("plan", "--keep-accuracy", "1.5"), 2, "no share"),
        (("plan", "--frontier", "--latency", "5ms"), 2, "draws every latency"),
        (("plan", "--frontier", "--speedup", "2"), 2, "draws every latency"),
        (("run", "--no-such-option"), 2, "--no-such-option"),
    ],
)
def test_an_error_is_one_object_too(shared: Workplace, arguments: tuple[str, ...], exit_code: int, error: str) -> None:
    done = shared.deploy(*arguments, "--json")
    assert done.returncode == exit_code
    said = one_object(done.stdout)
    assert set(said) == {"error", "where", "next"}
    assert error in said["error"]
    assert "Traceback" not in done.stderr


def test_the_version(shared: Workplace) -> None:
    assert shared.deploy("--version").stdout == f"{__version__}\n"


def test_without_a_terminal_each_stage_is_named_as_it_begins(shared: Workplace) -> None:
    done = shared.deploy("plan", *WHAT, *ROOMY)
    begun = [line[2:] for line in done.stderr.splitlines() if line.startswith("· ")]
    assert begun == ["load", "probe", "profile", "budget", "allocate", "report"]
    assert "✓ profile" in done.stderr
    again = shared.deploy("plan", *WHAT, *ROOMY, "--offline")
    assert "from cache" in again.stderr


def examples() -> list[str]:
    """Every command line that an epilog shows."""
    root = typer.main.get_command(app)
    found = []

    def collect(command: object) -> None:
        found.extend(re.findall(r"(?:\[bold\]|`)(deploy [^\[`]+)", getattr(command, "epilog", None) or ""))
        for inner in getattr(command, "commands", {}).values():
            collect(inner)

    collect(root)
    return sorted({each.strip() for each in found})


# These would train the bundled example, boot a machine, or need a key: here they are parsed; other tests run them.
LONG = (
    "deploy --target",
    "deploy run",
    "deploy plan",
    "deploy profile",
    "deploy adapt",
    "deploy pull",
    "deploy top --target emulated-pi",
    "deploy lab up",
    "deploy lab down",
    "deploy lab cut",
    "deploy trust",
    "deploy connect",
    "deploy devices",
    "deploy doctor",
)


def test_every_verb_shows_an_example() -> None:
    shown = " ".join(examples())
    for verb in (
        "--target host",
        "plan",
        "profile",
        "targets",
        "status",
        "rollback",
        "export",
        "infer",
        "adapt",
        "pull",
        "top",
        "logs",
        "report",
        "lab up",
        "lab down",
        "lab status",
    ):
        assert f"deploy {verb}" in shown


@pytest.mark.parametrize("line", [each for each in examples() if each.startswith(LONG)])
def test_a_long_example_is_understood(shared: Workplace, line: str) -> None:
    arguments = shlex.split(line)[1:]
    if arguments[0] == "lab":
        command = typer.main.get_command(app).commands["lab"].commands[arguments[1]]  # type: ignore[attr-defined]
        arguments = arguments[2:]
    else:
        verb = "run" if arguments[0].startswith("-") else arguments.pop(0)
        command = typer.main.get_command(app).commands[verb]  # type: ignore[attr-defined]
    command.make_context("deploy", arguments)


@pytest.mark.parametrize("line", [each for each in examples() if not each.startswith(LONG)])
def test_a_short_example_runs(shared: Workplace, line: str) -> None:
    """On a host with two releases: `host` is this machine in a folder of the test's own."""
    desk = (shared.folder / "targets" / "desk.toml").read_text()
    (shared.folder / "targets" / "host.toml").write_text(desk.replace('"desk"', '"host"'))
    np.save(shared.folder / "digit.npy", np.zeros((1, 8, 8), np.float32))
    if "rollback" in line:
        again = shared.deploy(*WHAT, *FEW_STEPS, *ROOMY)
        assert again.returncode == 0, again.stderr
    arguments = [
        str(shared.folder / "done.json") if each.endswith("result.json") else each for each in shlex.split(line)[1:]
    ]
    done = shared.deploy(*arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize("verb", ["", "run", "plan", "targets", "status", "rollback", "report", "lab", "lab up"])
def test_help_is_shown(shared: Workplace, verb: str) -> None:
    done = shared.deploy(*verb.split(), "--help")
    assert done.returncode == 0
    assert "Usage: deploy" in done.stdout


def test_an_error_that_nobody_reads_ends_with_its_code_and_without_a_traceback(shared: Workplace) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-c", "from toolkit.cli import main; main()", "status", "--target", "nowhere", "--json"]
    done = subprocess.run(
        command, cwd=shared.folder, env=shared.environment(), stdout=write, stderr=subprocess.PIPE, text=True
    )
    os.close(write)
    assert done.returncode == 2, done.stderr
    assert "nowhere" in done.stderr
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
