"""What a board has learned comes back, and goes to another board that serves the same."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from serving import accepted, blobs, learned, unlearn
from workplace import Workplace, copy_workplace, one_object, refusal

import edge_runtime


@pytest.fixture
def boards(deployed_place: Workplace, tmp_path: Path) -> tuple[Workplace, Workplace]:
    """One that has learned from the blobs, and one that has not."""
    first, second = (copy_workplace(deployed_place, tmp_path / name) for name in ("first", "second"))
    for place in (first, second):
        unlearn(place)
    assert edge_runtime.load(str(first.root)).learn(*blobs(), steps=30).accepted
    return first, second


def test_it_goes_from_one_board_to_another_and_is_undone_there(boards: tuple[Workplace, Workplace]) -> None:
    first, second = boards
    file = second.folder / "learned.safetensors"
    told = one_object(first.deploy("pull", "--target", "desk", "--to", str(file), "--json").stdout)
    arrays = load_file(file)
    assert told["release"] == first.releases()["current"]
    assert (told["bytes"], told["values"]) == (file.stat().st_size, sum(each.size for each in arrays.values()))
    x, _ = accepted(second)
    before = edge_runtime.load(str(second.root))(x)
    given = second.deploy("adapt", "--target", "desk", "--learned", "learned.safetensors")
    assert given.returncode == 0, given.stderr
    assert f"{told['values']:,} values" in " ".join(given.stdout.split())
    after = edge_runtime.load(str(second.root))(x)
    np.testing.assert_array_equal(after, edge_runtime.load(str(first.root))(x))
    assert np.abs(after - before).max() > 1e-3
    assert second.deploy("adapt", "--target", "desk", "--undo").returncode == 0
    np.testing.assert_array_equal(edge_runtime.load(str(second.root))(x), before)
    assert second.left_behind() == []


def test_what_cannot_be_pulled_is_said_in_two_lines(boards: tuple[Workplace, Workplace]) -> None:
    first, second = boards
    for place, to, said in [
        (second, "learned.safetensors", "has learned nothing"),
        (first, "learned.onnx", "ends with .safetensors"),
        (first, "targets/desk.toml/a.safetensors", "cannot be written"),
    ]:
        done = place.deploy("pull", "--target", "desk", "--to", to)
        assert (done.returncode, said in refusal(done)) == (2, True), done.stderr
    adapted = first.root / "adapted" / f"{first.releases()['current']}.safetensors"
    adapted.write_bytes(adapted.read_bytes()[:-8])
    done = first.deploy("pull", "--target", "desk", "--to", "learned.safetensors")
    assert (done.returncode, "is damaged" in refusal(done)) == (3, True)


def test_what_does_not_fit_is_not_given(boards: tuple[Workplace, Workplace]) -> None:
    first, second = boards
    file, release = second.folder / "learned.safetensors", {"release": second.releases()["current"]}
    assert first.deploy("pull", "--target", "desk", "--to", str(file)).returncode == 0
    arrays = load_file(file)
    head = arrays["head.bias"]
    for values, metadata, said in [
        (arrays, None, "which release it belongs to"),
        (arrays, {"release": "0" * 64}, "on top of release 000000000000"),
        ({**arrays, "more": head}, release, "more is nothing that the release learns"),
        ({**arrays, "head.bias": head[:-1]}, release, "head.bias is nothing"),
        ({**arrays, "head.bias": head * np.float32("nan")}, release, "no number"),
    ]:
        save_file(values, file, metadata)
        done = second.deploy("adapt", "--target", "desk", "--learned", str(file))
        assert (done.returncode, said in refusal(done)) == (2, True), done.stderr
    file.write_bytes(b"nothing")
    assert "is damaged" in refusal(second.deploy("adapt", "--target", "desk", "--learned", str(file)))
    assert "No such file" in refusal(second.deploy("adapt", "--target", "desk", "--learned", "absent"))
    assert learned(second) is None
