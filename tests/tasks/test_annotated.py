"""Folders of images with masks or boxes: what is read goes where its image goes, and what is wrong is named."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from toolkit.errors import BadInput
from toolkit.objectives import IGNORED, Boxes, Labelling
from toolkit.reading import AS_IT_IS, Reading
from toolkit.tasks import Task, load_task

_COUNT = 12  # ten to learn from at one shot, and two queries


def _save(file: Path, pixels: np.ndarray) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file)
    return file


def _images(folder: Path, height: int = 10, width: int = 20) -> list[Path]:
    pixels = np.zeros((height, width, 3), np.uint8)
    return [_save(folder / "images" / f"{index:02}.png", pixels + index) for index in range(_COUNT)]


def _loaded(folder: Path, reading: Reading = AS_IT_IS) -> Task:
    return load_task(str(folder), shots=1, seed=0, reading=reading)


def _masked(folder: Path) -> None:
    for image in _images(folder):
        mask = np.zeros((10, 20), np.uint8)
        mask[:, 10:] = 1
        mask[0, 0] = 255
        _save(folder / "masks" / image.name, mask)


def test_a_mask_is_a_class_for_each_pixel(tmp_path: Path) -> None:
    _masked(tmp_path)
    (tmp_path / "classes.txt").write_text("road\nsky\n")
    task = _loaded(tmp_path)
    assert (task.objective, task.classes) == (Labelling(), ("road", "sky"))
    assert (len(task.support), len(task.query)) == (10, 2)
    assert task.support.x.tensors["x"].shape == (10, 3, 10, 20)
    y = task.support.y[0]
    assert y[0, 0] == IGNORED
    assert [y[5, 9], y[5, 10]] == [0, 1]


def test_a_mask_is_cropped_and_scaled_with_its_image_and_holds_no_classes_between(tmp_path: Path) -> None:
    _masked(tmp_path)
    y = _loaded(tmp_path, Reading(image_size=(30, 30))).support.y
    assert y.shape[1:] == (30, 30)
    assert set(y.unique().tolist()) == {0, 1}
    assert bool((y[:, :, :14] == 0).all())
    assert bool((y[:, :, 16:] == 1).all())


def _yolo(folder: Path, lines: str = "1 0.25 0.5 0.1 0.2\n0 0.5 0.5 0.5 1\n") -> None:
    for image in _images(folder):
        file = folder / "labels" / f"{image.stem}.txt"
        file.parent.mkdir(exist_ok=True)
        file.write_text(lines)
    (folder / "labels" / "00.txt").unlink()


def _coco(folder: Path) -> None:
    images = [{"id": 7 * index, "file_name": file.name} for index, file in enumerate(_images(folder))]
    categories = [{"id": 90, "name": "dog"}, {"id": 3, "name": "cat"}]
    boxes = [
        {"image_id": image["id"], "category_id": of, "bbox": box}
        for image in images[1:]
        for of, box in ((90, [4, 4, 2, 2]), (3, [5, 0, 10, 10]))
    ]
    crowd = {"image_id": 0, "category_id": 3, "bbox": [0, 0, 1, 1], "iscrowd": 1}
    content = {"images": images, "categories": categories, "annotations": [*boxes, crowd]}
    (folder / "annotations.json").write_text(json.dumps(content))


@pytest.mark.parametrize("write", [_yolo, _coco])
def test_boxes_are_shares_of_their_image_and_rows_are_filled_up(tmp_path: Path, write) -> None:
    """Both write the same boxes: of 2 x 2 pixels at (5, 5), and of the middle half."""
    write(tmp_path)
    task = _loaded(tmp_path)
    assert task.objective == Boxes(2, 2, (20.0, 10.0), probabilities=True)
    assert task.classes == (("cat", "dog") if write is _coco else ("0", "1"))
    y = torch.cat([task.support.y, task.query.y])
    empty = (y == -1).all(-1).all(-1)
    assert int(empty.sum()) == 1
    expected = torch.tensor([[1, 0.25, 0.5, 0.1, 0.2], [0, 0.5, 0.5, 0.5, 1]])
    torch.testing.assert_close(y[~empty], expected.expand(_COUNT - 1, 2, 5))


def test_boxes_are_cropped_with_their_image_and_what_lies_outside_is_gone(tmp_path: Path) -> None:
    """Of 20 x 10 pixels the middle 10 x 10 stay: the box at x = 0.25 straddles their edge, half of it is left."""
    _yolo(tmp_path, "1 0.25 0.5 0.1 0.2\n0 0.5 0.5 0.5 1\n0 0.1 0.5 0.1 0.1\n")
    y = _loaded(tmp_path, Reading(image_size=(40, 40))).query.y
    expected = torch.tensor([[1, 0.05, 0.5, 0.1, 0.2], [0, 0.5, 0.5, 1, 1]])
    torch.testing.assert_close(y[-1], expected)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1 0.5 0.5 0.1", "line 1 is no box: '1 0.5 0.5 0.1'"),
        ("one 0.5 0.5 0.1 0.1", "line 1 is no box"),
        ("1 320 240 20 20", "line 1 is no box"),
        ("0.5 0.5 0.5 0.1 0.1", "line 1 is no box"),
        ("-1 0.5 0.5 0.1 0.1", "line 1 is no box"),
        ("nan 0.5 0.5 0.1 0.1", "line 1 is no box"),
        ("1 0.5 0.5 0 0.1", "line 1 is no box"),
        ("99999999 0.5 0.5 0.1 0.1", "line 1 is no box"),
    ],
)
def test_a_line_that_is_no_box_is_named(tmp_path: Path, line: str, said: str) -> None:
    _yolo(tmp_path, line)
    with pytest.raises(BadInput, match=said) as caught:
        _loaded(tmp_path)
    assert caught.value.where == str(tmp_path / "labels" / "01.txt")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "no annotations as COCO writes them: Expecting"),
        ("{}", "there is no .images."),
        ("[]", "list indices must be integers"),
        ("[" * 100_000, "recursion"),
        ('{"images": [{"id": [], "file_name": "a"}], "categories": [], "annotations": []}', "unhashable type"),
    ],
    ids=["cut off", "empty", "a list", "deep", "an id that is a list"],
)
def test_a_file_that_is_no_coco_is_named(tmp_path: Path, content: str, said: str) -> None:
    _images(tmp_path)
    (tmp_path / "annotations.json").write_text(content)
    with pytest.raises(BadInput, match=said):
        _loaded(tmp_path)


def test_an_image_that_coco_does_not_know_is_named(tmp_path: Path) -> None:
    _coco(tmp_path)
    extra = _save(tmp_path / "images" / "new.png", np.zeros((10, 20, 3), np.uint8))
    with pytest.raises(BadInput, match=r"annotations\.json does not know it") as caught:
        _loaded(tmp_path)
    assert caught.value.where == str(extra)


def _edited(folder: Path, edit: Callable[[dict[str, Any]], Any]) -> None:
    """What `_coco` writes, otherwise."""
    _coco(folder)
    content = json.loads((folder / "annotations.json").read_text())
    edit(content)
    (folder / "annotations.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda all_of: all_of["annotations"][3].update(image_id="7"), "annotation 3 is of image '7'"),
        (lambda all_of: all_of["annotations"][3].update(category_id=4), "annotation 3 is of image 14 and category 4"),
        (lambda all_of: all_of["annotations"][3].update(bbox=[1, 1, -2, 2]), "the bbox of annotation 3"),
        (lambda all_of: all_of["annotations"][3].update(bbox=[1, 1, 2]), "the bbox of annotation 3"),
        (lambda all_of: all_of["annotations"][3].pop("category_id"), "annotation 3: there is no .category_id."),
        (lambda all_of: all_of["images"][3].update(id=0), "have one id or one name"),
        (lambda all_of: all_of["categories"][1].update(id=90), "have one id or one name"),
        (lambda all_of: all_of["categories"][1].update(id="3"), "'<' not supported"),
        (lambda all_of: all_of["images"][3].update(width=640, height=480), "is 20 x 10 pixels, and 640 x 480 in"),
        (lambda all_of: all_of["annotations"].clear(), "shows no box in any image"),
    ],
)
def test_annotations_that_belong_nowhere_are_refused(tmp_path: Path, edit: Callable[..., Any], said: str) -> None:
    _edited(tmp_path, edit)
    with pytest.raises(BadInput, match=said):
        _loaded(tmp_path)


def test_classes_of_the_model_that_coco_does_not_have_are_named_beside_it(tmp_path: Path) -> None:
    _coco(tmp_path)
    (tmp_path / "classes.txt").write_text("dog\ncow\ncat\n")
    task = _loaded(tmp_path)
    assert task.classes == ("dog", "cow", "cat")
    assert set(task.support.y[..., 0].unique().tolist()) == {-1, 0, 2}


@pytest.mark.parametrize(
    ("moves", "told"),
    [
        ({"images": "images/train", "labels": "labels/train"}, "images/train"),  # Ultralytics
        ({"images": "train/images", "labels": "train/labels"}, "train/images"),  # Roboflow, as YOLO
        ({"images": "train", "annotations.json": "train/_annotations.coco.json"}, "train"),  # Roboflow, as COCO
        (
            {"images": "train2017", "annotations.json": "annotations/instances_train2017.json"},
            "train2017",
        ),  # COCO's own
        ({"images": ".", "annotations.json": "_annotations.coco.json"}, None),
    ],
)
def test_folders_as_tools_write_them(tmp_path: Path, moves: dict[str, str], told: str | None) -> None:
    plain, other = tmp_path / "plain", tmp_path / "other"
    (_yolo if "labels" in moves else _coco)(plain)
    for old, new in moves.items():
        (other / new).parent.mkdir(parents=True, exist_ok=True)
        if (plain / old).is_dir():
            shutil.copytree(plain / old, other / new, dirs_exist_ok=True)
        else:
            shutil.copy(plain / old, other / new)
    if told:  # a split that is left alone
        shutil.copytree(other / told, other / told.replace("train", "val"))
    said: list[str] = []
    task = load_task(str(other), shots=1, seed=0, on_note=said.append)
    expected = _loaded(plain)
    assert torch.equal(task.support.x.tensors["x"], expected.support.x.tensors["x"])
    assert torch.equal(task.support.y, expected.support.y)
    assert task.classes == expected.classes
    assert any(f"what lies in {told} is the task" in each for each in said) == bool(told)


def test_texts_that_are_named_as_no_image_are_refused(tmp_path: Path) -> None:
    _yolo(tmp_path)
    for file in (tmp_path / "labels").iterdir():
        file.rename(file.with_name(f"of_{file.name}"))
    with pytest.raises(BadInput, match="has no file named as an image"):
        _loaded(tmp_path)


@pytest.mark.parametrize("text", ["wörld\nsky\n".encode("latin-1"), "a\nb\n".encode("utf-16")])
def test_names_that_are_no_utf_8_are_refused(tmp_path: Path, text: bytes) -> None:
    _masked(tmp_path)
    (tmp_path / "classes.txt").write_bytes(text)
    with pytest.raises(BadInput, match="cannot be read") as caught:
        _loaded(tmp_path)
    assert caught.value.where == str(tmp_path / "classes.txt")


def test_what_windows_and_macos_leave_in_files_and_folders_is_no_harm(tmp_path: Path) -> None:
    _yolo(tmp_path)
    for file in list((tmp_path / "labels").iterdir()):
        file.rename(file.with_suffix(".TXT"))
    (tmp_path / "labels" / "01.TXT").write_bytes(b"\xef\xbb\xbf1 0.25 0.5 0.1 0.2\r\n")
    (tmp_path / "images" / "._01.png").write_bytes(b"none")
    (tmp_path / "classes.txt").write_bytes("\ufeffcat\r\ndog\r\n".encode())
    task = _loaded(tmp_path)
    assert task.classes == ("cat", "dog")
    assert len(task.support) + len(task.query) == _COUNT


def test_two_images_of_one_name_are_refused(tmp_path: Path) -> None:
    _yolo(tmp_path)
    _save(tmp_path / "images" / "03.jpg", np.zeros((10, 20, 3), np.uint8))
    with pytest.raises(BadInput, match=r"has the name of 03\.jpg"):
        _loaded(tmp_path)


@pytest.mark.parametrize(("value", "said"), [(255, "has no other class than 0"), (0, "has no other class than 0")])
def test_masks_of_one_class_are_refused(tmp_path: Path, value: int, said: str) -> None:
    for image in _images(tmp_path):
        mask = np.zeros((10, 20), np.uint8)
        mask[:, 10:] = value
        _save(tmp_path / "masks" / image.name, mask)
    with pytest.raises(BadInput, match=said):
        _loaded(tmp_path)


def test_classes_may_be_called_images_and_labels(tmp_path: Path) -> None:
    for name in ("images", "labels"):
        for index in range(3):
            _save(tmp_path / name / f"{index}.png", np.zeros((8, 8), np.uint8))
    assert load_task(str(tmp_path), shots=1, seed=0).classes == ("images", "labels")


def test_too_few_images_say_how_many_shots_they_are_enough_for(tmp_path: Path) -> None:
    _masked(tmp_path)
    with pytest.raises(BadInput, match="--shots 2 takes 20") as caught:
        load_task(str(tmp_path), shots=2, seed=0)
    assert caught.value.next == "Add examples, or lower --shots to 1."


def test_the_size_that_a_model_brings_is_told(tmp_path: Path) -> None:
    _masked(tmp_path)
    notes: list[str] = []
    task = load_task(str(tmp_path), shots=1, seed=0, usual=Reading(image_size=(8, 8)), on_note=notes.append)
    assert task.support.x.tensors["x"].shape[2:] == (8, 8)
    assert "scaled and cropped to 8 x 8 pixels" in notes[0]


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (np.zeros((10, 20, 3), np.uint8), "has colours"),
        (np.zeros((20, 10), np.uint8), "is 10 x 20 pixels, its image 20 x 10"),
    ],
)
def test_a_mask_that_does_not_fit_is_named(tmp_path: Path, pixels: np.ndarray, said: str) -> None:
    _masked(tmp_path)
    _save(tmp_path / "masks" / "03.png", pixels)
    with pytest.raises(BadInput, match=said):
        _loaded(tmp_path)


def test_missing_and_damaged_masks_are_named(tmp_path: Path) -> None:
    _masked(tmp_path)
    (tmp_path / "masks" / "03.png").write_bytes(b"none")
    with pytest.raises(BadInput, match="cannot be read"):
        _loaded(tmp_path)
    (tmp_path / "masks" / "03.png").unlink()
    with pytest.raises(BadInput, match=r"has no mask 03\.png"):
        _loaded(tmp_path)


def test_too_few_names_of_classes_are_told(tmp_path: Path) -> None:
    _masked(tmp_path)
    (tmp_path / "classes.txt").write_text("road\n")
    with pytest.raises(BadInput, match="names 1 classes, and 1 is used as one"):
        _loaded(tmp_path)


def test_masks_and_boxes_at_once_are_refused(tmp_path: Path) -> None:
    _masked(tmp_path)
    _coco(tmp_path)
    with pytest.raises(BadInput, match=r"has both masks and annotations\.json"):
        _loaded(tmp_path)
