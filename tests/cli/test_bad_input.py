"""Every bad input ends the real command line in one or two lines and a non-zero exit code, with nothing half-done."""

import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from openssh import PLACE, Sshd, stop_sshd
from workplace import CHECKOUT, FEW_STEPS, MODEL, TASK, Workplace, make_workplace, one_object, refusal

BOARD = (
    """
name = "board"
summary = "an sshd of the tests"
arch = "any"
runtimes = ["onnxruntime"]
root = "{root}"
"""
    + PLACE
)

DIGITS_POLICY = CHECKOUT / "toolkit" / "examples" / "digits_policy.safetensors"

MISTAKES = """
import torch
from torch import nn

def text():
    return "a model"

def scripted():
    return torch.jit.script(nn.Sequential(nn.Flatten(), nn.Linear(64, 5)))

def nan():
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.Linear(32, 5))
    model[1].weight.data[3, 4] = float("nan")
    return model

def needs(width):
    return nn.Linear(width, width)

def raises():
    raise RuntimeError("their own bug")
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    made = make_workplace(tmp_path_factory.mktemp("place"))
    (made.folder / "my_package" / "mistakes.py").write_text(MISTAKES)
    (made.folder / "my_package" / "imports.py").write_text("from torch import no_such_name\n")
    (made.folder / "my_package" / "needs_more.py").write_text("import no_such_distribution\n")
    (made.folder / "my_package" / "typo.py").write_text("def model(:\n")
    return made


def nothing_was_done(place: Workplace) -> bool:
    """No release, no result, nothing in the board's workplace."""
    runs = place.folder / "runs"
    releases = place.root / "releases"
    return (
        not list(runs.glob("*/result.json"))
        and not any(releases.iterdir() if releases.is_dir() else ())
        and place.left_behind() == []
    )


def test_an_unknown_target_names_the_nearest(shared: Workplace) -> None:
    said = refusal(shared.deploy("--target", "rasberry-pi"))
    assert "'rasberry-pi'" in said
    assert "raspberry-pi-5" in said
    said = refusal(shared.deploy("--target", "pi@192.168.1.5"))
    assert "deploy connect pi@192.168.1.5" in said
    assert "--host pi@192.168.1.5" in said
    assert "--target FAMILY" in refusal(shared.deploy("status", "--host", "pi@192.168.1.5"))
    every = len(list((CHECKOUT / "targets").glob("*.toml"))) + 1  # and `desk`
    assert refusal(shared.deploy("status", "--target", "zzz")).endswith(f"`deploy targets` lists all {every}.")


def test_a_broken_file_hides_no_other_target(place: Workplace) -> None:
    (place.folder / "targets" / "broken.toml").write_text("[place")
    listed = place.deploy("targets")
    assert listed.returncode == 0
    assert "desk" in listed.stdout
    [said] = listed.stderr.splitlines()
    assert "targets/broken.toml" in said
    found = one_object(place.deploy("targets", "--json").stdout)
    assert "desk" in [each["name"] for each in found["targets"]]
    assert [each["where"] for each in found["broken"]] == ["targets/broken.toml"]
    assert place.deploy("status", "--target", "desk").returncode == 0
    asked = place.deploy("status", "--target", "broken")
    assert asked.returncode == 2
    assert "targets/broken.toml" in refusal(asked)


@pytest.mark.parametrize(
    "option",
    [("--latency", "0ms"), ("--latency", ""), ("--memory", "-3MB"), ("--size", "many"), ("--latency", "nanms")],
)
def test_a_quantity_without_sense_is_named(shared: Workplace, option: tuple[str, str]) -> None:
    said = refusal(shared.deploy(*option))
    assert f"'{option[1]}'" in said
    assert option[0] in said


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--speedup", "0.9"), "1 or more"),
        (("--speedup", "nan"), "1 or more"),
        (("--speedup", "inf"), "1 or more"),
        (("--speedup", "-2"), "1 or more"),
        (("--speedup", "2", "--latency", "5ms"), "exclude each other"),
        (("--speedup", "2", "--keep-accuracy", "0.9"), "exclude each other"),
        (("--keep-accuracy", "nan"), "0 to 1"),
    ],
)
def test_how_fast_is_said_once_and_can_be(shared: Workplace, options: tuple[str, ...], word: str) -> None:
    for verb in ("run", "plan"):
        done = shared.deploy(verb, "--target", "desk", *options)
        assert done.returncode == 2
        assert word in refusal(done)
        assert options[0] in refusal(done)


def test_a_quantity_without_a_unit_is_named(shared: Workplace) -> None:
    said = refusal(shared.deploy("--memory", "64"))
    assert "'64' has no unit" in said
    assert "KB" in said


def test_a_curve_that_the_task_cannot_feed_is_refused_before_anything_is_measured(shared: Workplace) -> None:
    said = refusal(
        shared.deploy("--target", "desk", "--model", MODEL, "--task", TASK, "--set", "compression.curve=dual")
    )
    assert "compression.curve=dual" in said
    assert "no general data" in said
    assert nothing_was_done(shared)
    assert not (shared.cache / "profiles").exists()


def test_what_only_images_can_do_is_refused_to_others(shared: Workplace, tmp_path: Path) -> None:
    np.savez(tmp_path / "vectors.npz", x=np.random.rand(40, 64).astype(np.float32), y=np.arange(40) % 2)
    task = str(tmp_path / "vectors.npz")
    said = refusal(
        shared.deploy("--target", "desk", "--model", MODEL, "--task", task, "--set", "recovery.augment=mirror+noise")
    )
    assert "recovery.augment: mirror needs images" in said
    said = refusal(shared.deploy("--target", "desk", "--set", "recovery.augment=turn"))
    assert "'turn' is not known" in said
    assert nothing_was_done(shared)


def test_channels_are_refused_to_an_allocator_that_cannot_choose_them(shared: Workplace) -> None:
    said = refusal(
        shared.deploy(
            "plan", "--target", "desk", "--set", "compression.channels=true", "--set", "allocation.allocator=search"
        )
    )
    assert "compression.channels: allocator search" in said
    assert "exact or greedy" in said
    assert nothing_was_done(shared)


def test_a_models_name_is_shown_as_it_is(shared: Workplace) -> None:
    """`:x:` stands for a pictogram elsewhere."""
    assert refusal(shared.deploy("--target", "desk", "--model", "nope:x:y")).startswith("error nope:x:y: ")


def test_a_host_that_is_off_is_said_before_a_model_is_made(shared: Workplace) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    text = BOARD.format(root="/nowhere", port=port, identity="/none", known_hosts="/none")
    (shared.folder / "targets" / "board.toml").write_text(text)
    done = shared.deploy("--target", "board", "--model", "my_package.mistakes:raises", "--task", TASK)
    assert "Connection refused" in refusal(done)
    assert done.returncode == 3
    assert not (shared.cache / "examples").exists()
    for verb in ("status", "rollback"):
        assert "cannot reach the board" in refusal(shared.deploy(verb, "--target", "board"))


def ssh_place(place: Workplace, sshd: Sshd, root: Path) -> Workplace:
    """The working folder with a target for that server."""
    text = BOARD.format(root=root, port=sshd.port, identity=sshd.identity, known_hosts=sshd.known_hosts)
    (place.folder / "targets" / "board.toml").write_text(text)
    return place


def test_an_unknown_host_key_is_refused(place: Workplace, start_sshd: Callable[..., Sshd], tmp_path: Path) -> None:
    ssh_place(place, start_sshd(known=False), tmp_path / "root")
    done = place.deploy("--target", "board")
    assert "unknown host key SHA256:" in refusal(done)
    assert "ssh-keyscan" in refusal(done)
    assert not (tmp_path / "root").exists()


def test_a_changed_host_key_is_refused(place: Workplace, start_sshd: Callable[..., Sshd], tmp_path: Path) -> None:
    first = start_sshd()
    stop_sshd(first.process)
    ssh_place(place, start_sshd(first.port, known=False), tmp_path / "root")
    said = refusal(place.deploy("status", "--target", "board"))
    assert "THE HOST KEY CHANGED" in said
    assert "ssh-keygen -R" in said
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("no_such_package:model", "no_such_package"),
        ("my_package.small:modle", "'modle'"),
        ("my_package.small", "factory"),
        ("my_package.mistakes:text", "returned str, not a model"),
        ("my_package.mistakes:needs", "wants width"),
        ("my_package.imports:model", "no_such_name"),
        ("my_package.needs_more:model", "no_such_distribution"),
        ("my_package.typo:model", "cannot be imported"),
        ("my_package.mistakes:scripted", "TorchScript"),
        ("my_package.mistakes:nan", "1.weight"),
    ],
)
def test_a_model_that_cannot_be_used(shared: Workplace, model: str, reason: str) -> None:
    done = shared.deploy("--target", "desk", "--model", model, "--task", TASK)
    assert done.returncode == 2
    assert reason in refusal(done)
    assert nothing_was_done(shared)


def test_a_policy_that_cannot_be_used(shared: Workplace, tmp_path: Path) -> None:
    file = tmp_path / "policy.safetensors"
    what = ("--target", "desk", "--model", MODEL, "--task", TASK)
    by_policy = "allocation.allocator=policy"
    for sets, reason in (
        ((f"allocation.policy={file}",), "no effect"),
        ((by_policy, f"allocation.policy={file}"), "no such file"),
        ((by_policy,), "allocation.policy=FILE"),
        ((by_policy, f"allocation.policy={DIGITS_POLICY}"), "another backbone"),
    ):
        done = shared.deploy("plan", *what, *(part for each in sets for part in ("--set", each)))
        assert done.returncode == 2
        assert reason in refusal(done)
    file.write_text("no policy")
    assert "cannot be read as a policy" in refusal(
        shared.deploy("plan", *what, "--set", by_policy, "--set", f"allocation.policy={file}")
    )
    assert nothing_was_done(shared)


def test_an_error_inside_a_factory_shows_where(shared: Workplace) -> None:
    done = shared.deploy("--target", "desk", "--model", "my_package.mistakes:raises", "--task", TASK)
    assert done.returncode == 2
    assert "their own bug" in refusal(done)
    assert "mistakes.py:" in done.stderr
    assert nothing_was_done(shared)


X, Y = np.zeros((18, 1, 8, 8), np.float32), np.repeat([0, 1, 2], 6)


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"x": X, "y": Y * 0}, "1 class"),
        ({"x": X[:0], "y": Y[:0]}, "is empty"),
        ({"x": X.reshape(18, 64, 1, 1), "y": Y}, "(1, 64, 1, 1)"),
        ({"x": X + np.nan, "y": Y}, "NaN"),
        ({"x": X}, "has no array y"),
        ({"x": X, "y": Y[:9]}, "as many targets"),
    ],
    ids=["one class", "empty", "shape", "nan", "no labels", "lengths"],
)
def test_a_task_that_cannot_be_learned(shared: Workplace, arrays: dict[str, np.ndarray], reason: str) -> None:
    np.savez(shared.folder / "task.npz", **arrays)  # type: ignore[arg-type]
    done = shared.deploy("--target", "desk", "--model", MODEL, "--task", "task.npz")
    assert done.returncode == 2
    assert reason in refusal(done)
    assert nothing_was_done(shared)


def test_a_results_folder_that_cannot_be_written_is_said_first(shared: Workplace) -> None:
    done = shared.deploy("--target", "desk", "--model", MODEL, "--task", TASK, "--runs", "my_package/small.py/runs")
    assert "cannot receive results" in refusal(done)
    assert nothing_was_done(shared)


def test_a_cache_folder_that_cannot_be_made_is_named(shared: Workplace) -> None:
    where = str(shared.folder / "my_package" / "small.py" / "cache")
    done = shared.deploy("--target", "desk", "--model", MODEL, "--task", TASK, EDGE_DEPLOY_CACHE=where)
    assert "cache folder" in refusal(done)


def test_a_budget_that_nothing_meets_names_the_nearest(measured_place: Workplace) -> None:
    done = measured_place.deploy("--target", "desk", "--model", MODEL, "--task", TASK, *FEW_STEPS, "--size", "1KB")
    assert done.returncode == 4
    assert "no allocation" in refusal(done)
    assert "--size " in refusal(done)
    assert nothing_was_done(measured_place)


def test_a_full_disk_on_the_board(
    place: Workplace, start_sshd: Callable[..., Sshd], small_disk: Path, tmp_path: Path
) -> None:
    root = small_disk / "edge"
    ssh_place(place, start_sshd(), root)
    (small_disk / "log").write_bytes(b"x" * 900_000)
    done = place.deploy("--target", "board", "--model", MODEL, "--task", TASK)
    assert done.returncode == 3
    said = refusal(done)
    assert "disk full" in said
    assert "Make room" in said
    assert list((root / "work").iterdir()) == []
    assert list((root / "packages").iterdir()) == []
    assert not list((place.folder / "runs").glob("*/result.json"))
