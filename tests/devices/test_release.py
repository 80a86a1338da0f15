"""Releases: whole or absent, activated by one rename, and what is served is never lost."""

import hashlib
import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from workplace import Workplace, bundle, local_home

from toolkit.devices import Home, connect, open_home
from toolkit.devices.disk import disk_free_bytes
from toolkit.devices.local import LocalDevice
from toolkit.devices.releases.health import read_status
from toolkit.devices.releases.inventory import parse_releases
from toolkit.devices.releases.release import activate, collect, install, remove, rollback
from toolkit.errors import BadInput, BoardError
from toolkit.targets import Target


@pytest.fixture
def ours(place: Workplace) -> Home:
    return local_home(place)


def put(ours: Home, folder: Path, size: int = 1000, seed: int = 0) -> str:
    """Install and activate one."""
    made, digest = bundle(folder, size, seed)
    assert install(ours, made).digest == digest
    activate(ours, digest)
    return digest


def test_an_installed_release_is_whole_and_not_yet_served(ours: Home, place: Workplace, tmp_path: Path) -> None:
    made, digest = bundle(tmp_path / "one")
    seen: list[tuple[int, int]] = []
    size = sum(file.stat().st_size for file in made.iterdir())
    done = install(ours, made, lambda *progress: seen.append(progress))
    assert (done.digest, done.was_there, done.sent_bytes) == (digest, False, size)
    assert seen == sorted(seen)
    assert seen[-1] == (size, size)
    assert {file.name: file.read_bytes() for file in (place.root / "releases" / digest).iterdir()} == {
        file.name: file.read_bytes() for file in made.iterdir()
    }
    assert place.releases() == {"current": None, "previous": None, "available": [digest]}
    assert place.left_behind() == []
    assert list((place.root / "incoming").iterdir()) == []


def test_installing_again_sends_nothing(ours: Home, tmp_path: Path) -> None:
    made, _ = bundle(tmp_path / "one")
    install(ours, made)
    again = install(ours, made, lambda *_: pytest.fail("sent"))
    assert (again.was_there, again.sent_bytes) == (True, 0)


def test_files_that_another_release_holds_are_not_sent(ours: Home, place: Workplace, tmp_path: Path) -> None:
    put(ours, tmp_path / "one", size=50_000)
    made, _ = bundle(tmp_path / "two", size=50_000)
    (made / "infer.onnx").write_bytes(b"another program")
    digest = write_manifest(made)
    assert install(ours, made).sent_bytes == len(b"another program") + (made / "manifest.json").stat().st_size
    activate(ours, digest)
    copy = place.root / "releases" / digest / "tensors.safetensors"
    assert copy.read_bytes() == (made / "tensors.safetensors").read_bytes()
    # One bad block must not take both.
    assert copy.stat().st_nlink == 1


def test_what_another_release_holds_damaged_is_sent(ours: Home, place: Workplace, tmp_path: Path) -> None:
    first = put(ours, tmp_path / "one", size=50_000)
    (place.root / "releases" / first / "tensors.safetensors").write_bytes(b"damaged")
    made, _ = bundle(tmp_path / "two", size=50_000)
    (made / "infer.onnx").write_bytes(b"another program")
    write_manifest(made)
    assert install(ours, made).sent_bytes > 50_000


def write_manifest(made: Path, **changes: object) -> str:
    """Name the folder's files anew; returns the digest."""
    manifest = json.loads((made / "manifest.json").read_text())
    for name in manifest["files"]:
        content = (made / name).read_bytes()
        manifest["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    text = json.dumps(manifest | changes).encode()
    (made / "manifest.json").write_bytes(text)
    return hashlib.sha256(text).hexdigest()


def test_activating_keeps_the_previous(ours: Home, place: Workplace, tmp_path: Path) -> None:
    first = put(ours, tmp_path / "one", seed=1)
    assert place.releases()["previous"] is None
    second = put(ours, tmp_path / "two", seed=2)
    assert place.releases() == {"current": second, "previous": first, "available": sorted([first, second])}
    activate(ours, second)
    assert place.releases()["previous"] == first


def test_rollback_and_back(ours: Home, place: Workplace, tmp_path: Path) -> None:
    first, second = put(ours, tmp_path / "one", seed=1), put(ours, tmp_path / "two", seed=2)
    assert rollback(ours) == (second, first)
    assert (place.releases()["current"], place.releases()["previous"]) == (first, second)
    assert rollback(ours) == (first, second)
    assert sorted(path.name for path in place.root.iterdir() if path.is_symlink()) == ["current", "previous"]


@pytest.mark.parametrize("releases", [0, 1])
def test_rollback_without_a_previous_release_is_refused(ours: Home, tmp_path: Path, releases: int) -> None:
    for seed in range(releases):
        put(ours, tmp_path / "one", seed=seed)
    with pytest.raises(BoardError, match="no previous release") as caught:
        rollback(ours)
    assert "deploy status" in str(caught.value.next)


def test_a_damaged_previous_release_is_not_rolled_back_to(ours: Home, place: Workplace, tmp_path: Path) -> None:
    first, second = put(ours, tmp_path / "one", seed=1), put(ours, tmp_path / "two", seed=2)
    manifest = Path(ours.at("releases", first, "manifest.json"))
    manifest.write_text(manifest.read_text() + " ")
    with pytest.raises(BoardError, match="previous release is damaged"):
        rollback(ours)
    assert place.releases()["current"] == second


def test_only_a_complete_release_is_activated(ours: Home, place: Workplace, tmp_path: Path) -> None:
    with pytest.raises(BoardError, match="no complete release abcdef"):
        activate(ours, "abcdef")
    made, digest = bundle(tmp_path / "one")
    install(ours, made)
    (place.root / "releases" / digest / "infer.onnx").write_bytes(b"")
    with pytest.raises(BoardError, match=r"no complete release .*missing infer\.onnx"):
        activate(ours, digest)
    assert place.releases()["current"] is None


@pytest.mark.parametrize("file", ["infer.onnx", "manifest.json"])
@pytest.mark.parametrize("damage", ["altered", "emptied", "deleted"])
def test_a_damaged_file_is_found_and_installing_again_repairs_it(
    ours: Home, place: Workplace, tmp_path: Path, file: str, damage: str
) -> None:
    digest = put(ours, tmp_path / "one")
    victim = place.root / "releases" / digest / file
    whole = victim.read_bytes()
    if damage == "deleted":
        victim.unlink()
    else:
        victim.write_bytes(whole[:-1] + b" " if damage == "altered" else b"")
    assert read_status(ours).damaged == {digest: [file]}
    assert not read_status(ours).healthy
    again = install(ours, tmp_path / "one")
    assert (again.was_there, again.sent_bytes) == (False, len(whole))
    assert victim.read_bytes() == whole
    assert read_status(ours).healthy
    assert place.releases() == {"current": digest, "previous": None, "available": [digest]}
    assert place.left_behind() == []


def test_a_bundle_that_is_not_what_its_manifest_says_is_refused(ours: Home, place: Workplace, tmp_path: Path) -> None:
    served = put(ours, tmp_path / "one", seed=1)
    made, _ = bundle(tmp_path / "two", seed=2)
    (made / "tensors.safetensors").write_bytes(b"else")
    with pytest.raises(BadInput, match=r"tensors\.safetensors is missing or altered"):
        install(ours, made)
    assert place.releases() == {"current": served, "previous": None, "available": [served]}


def test_a_bundle_for_another_machine_is_refused(ours: Home, place: Workplace, tmp_path: Path) -> None:
    made, _ = bundle(tmp_path / "one")
    write_manifest(made, arch="aarch64")
    with pytest.raises(BadInput, match=r"made for aarch64, desk is x86_64"):
        install(ours, made)
    assert place.releases()["available"] == []


def test_a_release_is_not_repaired_through_a_link(ours: Home, place: Workplace, tmp_path: Path) -> None:
    made, digest = bundle(tmp_path / "one")
    (tmp_path / "users").mkdir()
    (tmp_path / "users" / "infer.onnx").write_text("mine")
    (place.root / "releases" / digest).symlink_to(tmp_path / "users")
    assert install(ours, made).was_there is False
    assert {path.name: path.read_text() for path in (tmp_path / "users").iterdir()} == {"infer.onnx": "mine"}
    assert read_status(ours).damaged == {}


@pytest.mark.parametrize("sent", [0, 1])
@pytest.mark.parametrize("how", [KeyboardInterrupt, BoardError])
def test_an_interrupted_push_leaves_the_previous_release_serving(
    ours: Home, place: Workplace, tmp_path: Path, how: type[BaseException], sent: int
) -> None:
    served = put(ours, tmp_path / "one", seed=1)
    made, _ = bundle(tmp_path / "two", seed=2)
    calls = 0

    def cut(done: int, total: int) -> None:
        nonlocal calls
        calls += 1
        if calls == sent + 1:
            raise how("cut")

    with pytest.raises(how):
        install(ours, made, cut)
    assert place.releases() == {"current": served, "previous": None, "available": [served]}
    assert place.left_behind() == []
    size = sum(file.stat().st_size for file in made.iterdir())
    assert install(ours, made).sent_bytes == size - 1000 * sent


def test_neither_what_is_served_nor_what_was_before_is_removed(ours: Home, place: Workplace, tmp_path: Path) -> None:
    digests = [put(ours, tmp_path / str(seed), seed=seed) for seed in range(3)]
    for digest in digests:
        remove(ours, digest)
    assert place.releases()["available"] == sorted(digests[1:])


@pytest.mark.parametrize("keep", [2, 3])
def test_old_releases_and_what_was_learned_on_them_go(ours: Home, place: Workplace, tmp_path: Path, keep: int) -> None:
    digests = [put(ours, tmp_path / str(seed), seed=seed) for seed in range(5)]
    for digest in digests:
        for state in ("", ".before"):
            (place.root / "adapted" / f"{digest}{state}.safetensors").touch()
    assert rollback(ours) == (digests[4], digests[3])
    gone = collect(ours, keep)
    assert len(gone) == 5 - keep
    assert set(place.releases()["available"]) >= {digests[3], digests[4]}
    assert len(place.releases()["available"]) == keep
    learned = {path.name.split(".")[0] for path in (place.root / "adapted").iterdir()}
    assert learned == set(place.releases()["available"])
    assert place.left_behind() == []


def test_status_knows_whether_the_board_has_learned(ours: Home, place: Workplace, tmp_path: Path) -> None:
    digest = put(ours, tmp_path / "one")
    assert read_status(ours).adapted is False
    (place.root / "adapted" / f"{digest}.safetensors").touch()
    found = read_status(ours)
    assert (found.adapted, found.current, found.available, found.healthy) == (True, digest, (digest,), True)
    assert found.disk_free_bytes > 0


def test_a_full_disk_refuses_before_anything_is_sent(place: Workplace, small_disk: Path, tmp_path: Path) -> None:
    ours = open_home(LocalDevice(), place.target.model_copy(update={"root": str(small_disk)}))
    served = put(ours, tmp_path / "one", size=100_000, seed=1)
    made, _ = bundle(tmp_path / "two", size=600_000)
    with pytest.raises(BoardError, match=r"disk full: the release needs 2\.4 MB, .* are free") as caught:
        install(ours, made, lambda *_: pytest.fail("sent"))
    assert "still serves" in str(caught.value.next)
    found = read_status(ours)
    assert (found.current, found.available) == (served, (served,))


def test_a_disk_that_fills_up_meanwhile_leaves_nothing_half(place: Workplace, small_disk: Path, tmp_path: Path) -> None:
    ours = open_home(LocalDevice(), place.target.model_copy(update={"root": str(small_disk)}))
    served = put(ours, tmp_path / "one", size=100_000, seed=1)
    made, _ = bundle(tmp_path / "two", size=150_000)

    def fill(done: int, total: int) -> None:
        with (small_disk / "log").open("wb") as log:
            log.write(b"x" * max(0, disk_free_bytes(ours) - 8192))

    with pytest.raises(BoardError, match="disk full"):
        install(ours, made, fill)
    (small_disk / "log").unlink()
    assert read_status(ours).available == (served,)
    assert list((small_disk / "work").iterdir()) == []
    assert install(ours, made).was_there is False


def test_a_read_only_disk_says_so(place: Workplace, small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(BoardError, match=r"file system is read-only") as caught:
        open_home(LocalDevice(), place.target.model_copy(update={"root": str(small_disk)}))
    assert "writable" in str(caught.value.next)


def test_a_board_without_sha256sum_says_so(ours: Home, tmp_path: Path) -> None:
    made, _ = bundle(tmp_path / "one")
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "uname", "cat", "mkdir"):
        (tools / name).symlink_to(f"/bin/{name}")

    class Bare(LocalDevice):
        def run(self, command: str, **options: object):  # type: ignore[no-untyped-def, override]
            return super().run(f"PATH={tools}; {command}", **options)  # type: ignore[arg-type]

    with pytest.raises(BoardError, match="has no sha256sum") as caught:
        install(replace(ours, device=Bare()), made)
    assert "coreutils" in str(caught.value.next)


def test_a_lost_lock_stops_activation(ours: Home, place: Workplace, tmp_path: Path) -> None:
    served = put(ours, tmp_path / "one", seed=1)
    made, digest = bundle(tmp_path / "two", seed=2)
    install(ours, made)
    lost = replace(ours, guard="{ echo lost >&2; exit 75; }")
    with pytest.raises(BoardError, match=r"setting previous and current failed with status 75: lost"):
        activate(lost, digest)
    assert place.releases()["current"] == served
    assert sorted(path.name for path in place.root.iterdir() if path.is_symlink()) == ["current"]


@given(st.binary() | st.lists(st.sampled_from([b"-\n", b"a" * 64, b" 3\n", b"{}\n", b"trusted\n"])).map(b"".join))
def test_any_bytes_are_an_inventory(said: bytes) -> None:
    found = parse_releases(said)
    assert {found.current, found.previous} <= {None, *found.available}


@pytest.fixture
def on_board(emulated_pi: Target) -> Iterator[Home]:
    """Our folder on the emulated board in a file system of 4 MB."""
    device = connect(emulated_pi)
    folder = "/root/a small disk"
    device.run(f"umount '{folder}'; mkdir -p '{folder}' && mount -t tmpfs -o size=4m tmpfs '{folder}'")
    yield open_home(device, emulated_pi.model_copy(update={"root": folder}))
    device.run(f"umount '{folder}'; rmdir '{folder}'")
    device.close()


@pytest.mark.board
def test_on_the_board_a_release_is_installed_repaired_rolled_back_and_refused_for_its_disk(
    on_board: Home, tmp_path: Path
) -> None:
    first, second = put(on_board, tmp_path / "one", seed=1), put(on_board, tmp_path / "two", seed=2)
    on_board.device.run(f"printf x >> '{on_board.root}/releases/{second}/infer.onnx'")
    assert install(on_board, tmp_path / "two").was_there is False
    assert rollback(on_board) == (second, first)
    made, _ = bundle(tmp_path / "three", size=3_000_000)
    with pytest.raises(BoardError, match="disk full: the release needs 12 MB"):
        install(on_board, made)
    found = read_status(on_board)
    assert (found.current, found.previous, set(found.available)) == (first, second, {first, second})
    assert on_board.device.run(f"ls '{on_board.root}/work'").stdout == b""
