"""Releases: whole or absent, activated by one rename, and what is served is never lost."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from workplace import Workplace, bundle, local_agent

from toolkit.devices import Agent, connect, ensure_packages, install_agent, probe
from toolkit.devices.agent_client import with_site
from toolkit.devices.disk import disk_free_bytes
from toolkit.devices.local import LocalDevice
from toolkit.devices.release import activate, install, remove, rollback, status
from toolkit.errors import BoardError
from toolkit.runtimes import RUNTIMES
from toolkit.targets import Target


@pytest.fixture
def agent(place: Workplace) -> Agent:
    return local_agent(place)


def put(agent: Agent, folder: Path, size: int = 1000, seed: int = 0) -> str:
    """Install and activate one."""
    made, digest = bundle(folder, size, seed)
    install(agent, made, digest, lambda done, total: None)
    activate(agent, digest)
    return digest


def test_an_installed_release_is_whole_and_not_yet_served(agent: Agent, place: Workplace, tmp_path: Path) -> None:
    made, digest = bundle(tmp_path / "one")
    seen: list[tuple[int, int]] = []
    assert install(agent, made, digest, lambda *progress: seen.append(progress)) is True
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert {file.name: file.read_bytes() for file in (place.root / "releases" / digest).iterdir()} == {
        file.name: file.read_bytes() for file in made.iterdir()
    }
    assert place.releases() == {"current": None, "previous": None, "available": [digest]}
    assert place.left_behind() == []


def test_installing_again_sends_nothing(agent: Agent, tmp_path: Path) -> None:
    made, digest = bundle(tmp_path / "one")
    install(agent, made, digest, lambda *_: None)

    def must_not_send(done: int, total: int) -> None:
        raise AssertionError

    assert install(agent, made, digest, must_not_send) is False


def test_activating_keeps_the_previous(agent: Agent, place: Workplace, tmp_path: Path) -> None:
    first = put(agent, tmp_path / "one", seed=1)
    assert place.releases()["previous"] is None
    second = put(agent, tmp_path / "two", seed=2)
    assert place.releases() == {"current": second, "previous": first, "available": sorted([first, second])}
    activate(agent, second)
    assert place.releases()["previous"] == first


def test_rollback_and_back(agent: Agent, place: Workplace, tmp_path: Path) -> None:
    first, second = put(agent, tmp_path / "one", seed=1), put(agent, tmp_path / "two", seed=2)
    assert rollback(agent) == (second, first)
    assert (place.releases()["current"], place.releases()["previous"]) == (first, second)
    assert rollback(agent) == (first, second)
    assert sorted(path.name for path in place.root.iterdir() if path.is_symlink()) == ["current", "previous"]


@pytest.mark.parametrize("releases", [0, 1])
def test_rollback_without_a_previous_release_is_refused(agent: Agent, tmp_path: Path, releases: int) -> None:
    for seed in range(releases):
        put(agent, tmp_path / "one", seed=seed)
    with pytest.raises(BoardError, match="no previous release") as caught:
        rollback(agent)
    assert "deploy status" in str(caught.value.next)


def test_only_a_complete_release_is_activated(agent: Agent) -> None:
    with pytest.raises(BoardError, match="no complete release abcdef"):
        activate(agent, "abcdef")


@pytest.mark.parametrize("file", ["infer.onnx", "manifest.json"])
@pytest.mark.parametrize("damage", ["altered", "emptied", "deleted"])
def test_a_damaged_file_is_found_and_installing_again_repairs_it(
    agent: Agent, place: Workplace, tmp_path: Path, file: str, damage: str
) -> None:
    digest = put(agent, tmp_path / "one")
    victim = place.root / "releases" / digest / file
    whole = victim.read_bytes()
    if damage == "deleted":
        victim.unlink()
    else:
        victim.write_bytes(whole[:-1] + b" " if damage == "altered" else b"")
    assert install(agent, tmp_path / "one", digest, lambda *_: None) is True
    assert victim.read_bytes() == whole
    assert place.releases() == {"current": digest, "previous": None, "available": [digest]}
    assert place.left_behind() == []


def test_a_bundle_that_is_not_what_its_digest_says_is_refused(agent: Agent, place: Workplace, tmp_path: Path) -> None:
    served = put(agent, tmp_path / "one", seed=1)
    made, digest = bundle(tmp_path / "two", seed=2)
    (made / "tensors.npz").write_bytes(b"else")
    with pytest.raises(BoardError, match=r"tensors\.npz arrived corrupt"):
        install(agent, made, digest, lambda *_: None)
    assert place.releases() == {"current": served, "previous": None, "available": [served]}
    assert place.left_behind() == []


def test_a_manifest_that_names_a_file_elsewhere_is_refused(agent: Agent, place: Workplace, tmp_path: Path) -> None:
    made, _ = bundle(tmp_path / "one")
    manifest = json.dumps({"files": {"../escape": {"sha256": "0" * 64}}}).encode()
    (made / "manifest.json").write_bytes(manifest)
    with pytest.raises(BoardError, match="outside its folder"):
        install(agent, made, hashlib.sha256(manifest).hexdigest(), lambda *_: None)
    assert place.releases()["available"] == []


@pytest.mark.parametrize("how", [KeyboardInterrupt, BoardError])
def test_an_interrupted_push_leaves_the_previous_release_serving(
    agent: Agent, place: Workplace, tmp_path: Path, how: type[BaseException]
) -> None:
    served = put(agent, tmp_path / "one", seed=1)
    made, digest = bundle(tmp_path / "two", seed=2)

    def cut(done: int, total: int) -> None:
        if done == 2:
            raise how("cut")

    with pytest.raises(how):
        install(agent, made, digest, cut)
    assert place.releases() == {"current": served, "previous": None, "available": [served]}
    assert place.left_behind() == []
    assert install(agent, made, digest, lambda *_: None) is True


def test_neither_what_is_served_nor_what_was_before_is_removed(agent: Agent, place: Workplace, tmp_path: Path) -> None:
    digests = [put(agent, tmp_path / str(seed), seed=seed) for seed in range(3)]
    for digest in digests:
        remove(agent, digest)
    assert place.releases()["available"] == sorted(digests[1:])


def test_status_knows_whether_the_board_has_learned(agent: Agent, place: Workplace, tmp_path: Path) -> None:
    digest = put(agent, tmp_path / "one")
    assert status(agent).adapted is False
    (place.root / "adapted" / f"{digest}.npz").touch()
    found = status(agent)
    assert (found.adapted, found.current, found.available) == (True, digest, (digest,))
    assert found.disk_free_bytes > 0


def test_a_full_disk_refuses_before_anything_is_sent(place: Workplace, small_disk: Path, tmp_path: Path) -> None:
    agent = install_agent(LocalDevice(), place.target.model_copy(update={"root": str(small_disk)}))
    served = put(agent, tmp_path / "one", size=100_000, seed=1)
    made, digest = bundle(tmp_path / "two", size=600_000)
    with pytest.raises(BoardError, match=r"disk full: the release needs 1\.2 MB, .* are free") as caught:
        install(agent, made, digest, lambda *_: pytest.fail("sent"))
    assert "still serves" in str(caught.value.next)
    assert status(agent).current == served
    assert status(agent).available == (served,)


def test_a_disk_that_fills_up_meanwhile_leaves_nothing_half(place: Workplace, small_disk: Path, tmp_path: Path) -> None:
    agent = install_agent(LocalDevice(), place.target.model_copy(update={"root": str(small_disk)}))
    served = put(agent, tmp_path / "one", size=100_000, seed=1)
    made, digest = bundle(tmp_path / "two", size=250_000)

    def fill(done: int, total: int) -> None:
        with (small_disk / "log").open("wb") as log:
            log.write(b"x" * max(0, disk_free_bytes(agent) - 8192))

    with pytest.raises(BoardError, match="disk full: "):
        install(agent, made, digest, fill)
    (small_disk / "log").unlink()
    assert status(agent).available == (served,)
    assert list((small_disk / "work").iterdir()) == []
    assert install(agent, made, digest, lambda *_: None) is True


@pytest.fixture
def board_agent(emulated_pi: Target) -> Iterator[Agent]:
    """An agent on the emulated board in a root of its own, a file system of 4 MB; its packages are the board's."""
    device = connect(emulated_pi)
    packages = RUNTIMES["onnxruntime"].board_packages
    whole = install_agent(device, emulated_pi)
    site = ensure_packages(whole, packages, probe(whole), lambda _: None).site
    folder = "/root/a small disk"
    device.run(f"umount '{folder}'; mkdir -p '{folder}' && mount -t tmpfs -o size=4m tmpfs '{folder}'")
    yield with_site(install_agent(device, emulated_pi.model_copy(update={"root": folder})), str(site))
    device.run(f"umount '{folder}'; rmdir '{folder}'")
    device.close()


@pytest.mark.board
def test_on_the_board_a_release_is_installed_repaired_rolled_back_and_refused_for_its_disk(
    board_agent: Agent, tmp_path: Path
) -> None:
    first, second = put(board_agent, tmp_path / "one", seed=1), put(board_agent, tmp_path / "two", seed=2)
    board_agent.device.run(f"printf x >> '{board_agent.root}/releases/{second}/infer.onnx'")
    assert install(board_agent, tmp_path / "two", second, lambda *_: None) is True
    assert rollback(board_agent) == (second, first)
    made, digest = bundle(tmp_path / "three", size=3_000_000)
    with pytest.raises(BoardError, match="disk full: the release needs 6 MB"):
        install(board_agent, made, digest, lambda *_: None)
    found = status(board_agent)
    assert (found.current, found.previous, set(found.available)) == (first, second, {first, second})
    assert board_agent.device.run(f"ls '{board_agent.root}/work'").stdout == b""


def test_a_damaged_previous_release_is_not_rolled_back_to(agent: Agent, place: Workplace, tmp_path: Path) -> None:
    first = put(agent, tmp_path / "one", seed=1)
    second = put(agent, tmp_path / "two", seed=2)
    manifest = Path(agent.at("releases", first, "manifest.json"))
    manifest.write_text(manifest.read_text() + " ")
    with pytest.raises(BoardError, match="previous release is damaged"):
        rollback(agent)
    assert place.releases()["current"] == second
