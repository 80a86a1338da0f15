"""Labelled examples for a network that is out: by the names of its classes, from whatever they lie in."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from toolkit.errors import BadInput
from toolkit.inputs import Port
from toolkit.preprocessing import Preprocessing
from toolkit.tasks.labelled_again import labelled_from

_X, _Y = Port("x", (2,)), Port("y", (), "int64")
_NUMBERS = Preprocessing("numbers", columns=("height", "width"))


def test_a_folder_of_arrays(tmp_path: Path) -> None:
    for index, name in enumerate(("b", "a", "b")):
        (tmp_path / name).mkdir(exist_ok=True)
        np.save(tmp_path / name / f"{index}.npy", np.full((2, 2), index, np.float32))  # two examples each
    found = labelled_from(tmp_path, None, [_X], _Y, ("b", "a"))
    assert found.y.tolist() == [1, 1, 0, 0, 0, 0]
    assert found.x.tensors["x"][:, 0].tolist() == [1, 1, 0, 0, 2, 2]


def test_a_table(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("intent,width,height\nb,6,3\na,2,1\n")
    found = labelled_from(tmp_path / "rows.csv", _NUMBERS, [_X], _Y, ("a", "b"))
    assert found.y.tolist() == [1, 0]
    assert found.x.tensors["x"].tolist() == [[3, 6], [1, 2]]


@pytest.mark.parametrize("labels", [np.array(["9", "7"]), np.array([9, 7])])
def test_an_archive_with_names_or_numbers_of_classes(tmp_path: Path, labels: np.ndarray) -> None:
    np.savez(tmp_path / "all.npz", x=np.zeros((2, 2), np.float32), y=labels)
    assert labelled_from(tmp_path / "all.npz", None, [_X], _Y, ("7", "9")).y.tolist() == [1, 0]


def test_values_without_classes(tmp_path: Path) -> None:
    np.savez(tmp_path / "all.npz", x=np.zeros((3, 2), np.float32), y=np.array([0.5, 1, 2]))
    found = labelled_from(tmp_path / "all.npz", None, [_X], Port("y", (1,)), ())
    assert found.y.dtype == torch.float32
    assert found.y.tolist() == [[0.5], [1.0], [2.0]]
    with pytest.raises(BadInput, match=r"y is float64 \(3,\)") as caught:
        labelled_from(tmp_path / "all.npz", None, [_X], Port("y", (4,)), ())
    assert caught.value.next == "Give y: float32 (4), one an example."


def test_many_labels_may_be_of_any_type(tmp_path: Path) -> None:
    for y in (np.eye(3, dtype=np.int64), np.eye(3, dtype=bool), np.eye(3)):
        np.savez(tmp_path / "all.npz", x=np.zeros((3, 2), np.float32), y=y)
        found = labelled_from(tmp_path / "all.npz", None, [_X], Port("y", (3,)), ())
        assert torch.equal(found.y, torch.eye(3))
    for wrong in (np.full((3, 3), "a"), np.full((3, 3), np.nan)):
        np.savez(tmp_path / "all.npz", x=np.zeros((3, 2), np.float32), y=wrong)
        with pytest.raises(BadInput, match="y is"):
            labelled_from(tmp_path / "all.npz", None, [_X], Port("y", (3,)), ())


def test_files_of_different_scales_are_refused(tmp_path: Path) -> None:
    for name, file in (("a", "0.png"), ("b", "0.npy")):
        (tmp_path / name).mkdir()
        pixels = np.zeros((4, 4), np.uint8)
        if file.endswith("png"):
            Image.fromarray(pixels).save(tmp_path / name / file)
        else:
            np.save(tmp_path / name / file, pixels[None])
    with pytest.raises(BadInput, match="is of another kind"):
        labelled_from(tmp_path, Preprocessing("images"), [Port("x", (1, 4, 4))], _Y, ("a", "b"))


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "rows.csv").write_text("label,width,height\nb,6,3\nd,2,1\n")
    (tmp_path / "none.csv").write_text("width,height\n6,3\n")
    np.savez(tmp_path / "one.npz", x=np.zeros((2, 2), np.float32))
    np.savez(tmp_path / "some.npz", x=np.zeros((2, 2), np.float32), y=np.array(["a", "a"]))
    np.savez(tmp_path / "few.npz", x=np.zeros((2, 2), np.float32), y=np.array(["a"]))
    for name, said in {
        "absent": "there is no such file",
        "empty": r"has no class/\*",
        "rows.csv": "line 3: d is none of the release's classes: a, b",
        "none.csv": "line 2 has no label",
        "one.npz": r"has no array y \(it has x\)",
        "few.npz": "has 2 examples and 1 labels",
        "some.npz": "has no example of b",
    }.items():
        with pytest.raises(BadInput, match=said) as caught:
            labelled_from(tmp_path / name, _NUMBERS, [_X], _Y, ("a", "b"))
        assert caught.value.where == str(tmp_path / name)
    with pytest.raises(BadInput, match="the network has no classes"):
        labelled_from(tmp_path / "rows.csv", _NUMBERS, [_X], _Y, ())


def test_labels_that_mark_a_place_among_zeros_are_said_to(tmp_path: Path) -> None:
    np.savez(tmp_path / "all.npz", x=np.zeros((2, 2), np.float32), y=np.eye(2))
    with pytest.raises(BadInput, match=r"y is float64 \(2, 2\), one label an example is expected") as caught:
        labelled_from(tmp_path / "all.npz", None, [_X], _Y, ("a", "b"))
    assert caught.value.next == "If a row marks its class among zeros, save y.argmax(1)."


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"PK, and no more", "is no file of NumPy arrays"), (b"", "cannot be read: No data left in file")],
)
def test_what_is_no_archive_is_said_so(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "all.npz").write_bytes(content)
    with pytest.raises(BadInput, match=said):
        labelled_from(tmp_path / "all.npz", None, [_X], _Y, ("a", "b"))


def test_an_array_alone_has_no_labels(tmp_path: Path) -> None:
    with (tmp_path / "all.npz").open("wb") as file:
        np.save(file, np.zeros((2, 2), np.float32))
    with pytest.raises(BadInput, match=r"has no array y \(it has x alone\)"):
        labelled_from(tmp_path / "all.npz", None, [_X], _Y, ("a", "b"))
