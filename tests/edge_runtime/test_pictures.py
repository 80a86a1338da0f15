"""An application gives pictures as it has them: the board makes of them what the host makes of the task's files."""

import io
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from serving import unlearn
from workplace import FEW_STEPS, ONLY_RANKS, ROOMY, Workplace, copy_workplace, make_workplace, one_object

import edge_runtime
from edge_runtime.inference_protocol import answer
from edge_runtime.inputs import Entry, entries_of, rows_of
from toolkit.inputs import Port
from toolkit.preprocessing import Preprocessing
from toolkit.tasks.again import inputs_from

_RANDOM = np.random.default_rng(0)
_NORMALISED: dict[str, Any] = {"mean": (0.5, 0.25, 0.125), "std": (2.0, 4.0, 0.5)}
_MODES = {
    "grey": "L",
    "colour": "RGB",
    "transparent": "RGBA",
    "palette": "P",
    "grey and transparent": "LA",
    "16 bits": "I;16",
}


def entry_for(port: Port, made: Preprocessing) -> Entry:
    [entry] = entries_of({"inputs": [vars(port)], "preprocessing": made.told()}, "")
    return entry


def picture(mode: str, size: tuple[int, int]) -> Image.Image:
    """Of that (width, height); noise, in which each pixel counts."""
    if mode == "I;16":
        return Image.fromarray(_RANDOM.integers(0, 1 << 16, size[::-1]).astype(np.uint16))
    channels = {"L": 1, "P": 3}.get(mode, len(mode))
    values = _RANDOM.integers(0, 256, (*size[::-1], channels), np.uint8)
    made = Image.fromarray(values[:, :, 0] if channels == 1 else values, "RGB" if mode == "P" else mode)
    return made.quantize(16) if mode == "P" else made


@pytest.mark.parametrize("mode", _MODES.values(), ids=_MODES)
@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("size", [(20, 30), (33, 12), (24, 16)])
def test_a_file_means_to_an_application_what_it_means_to_the_host(
    mode: str, normalised: bool, size: tuple[int, int], tmp_path: Path
) -> None:
    port, made = (
        Port("x", (3, 16, 24)),
        Preprocessing("images", image_size=(16, 24), **_NORMALISED if normalised else {}),
    )
    file = tmp_path / "one.png"
    picture(mode, size).save(file)
    [expected] = inputs_from(file, made, [port])
    entry = entry_for(port, made)
    for given in (file, str(file), file.read_bytes()):
        rows, alone = rows_of(entry, given)
        assert alone
        assert rows.dtype == np.float32
        np.testing.assert_allclose(rows, expected.numpy(), rtol=1e-6, atol=1e-6)


def test_a_camera_that_was_held_sideways(tmp_path: Path) -> None:
    port, made = Port("x", (3, 16, 24)), Preprocessing("images", image_size=(16, 24))
    said = Image.Exif()
    said[0x0112] = 6  # to be turned by a quarter, clockwise
    picture("RGB", (40, 20)).save(tmp_path / "one.jpg", exif=said)
    [expected] = inputs_from(tmp_path / "one.jpg", made, [port])
    entry = entry_for(port, made)
    given, _ = rows_of(entry, tmp_path / "one.jpg")
    np.testing.assert_allclose(given, expected.numpy(), atol=1e-6)
    turned = np.rot90(np.asarray(Image.open(tmp_path / "one.jpg")), -1)
    np.testing.assert_allclose(given, rows_of(entry, turned)[0], atol=1e-6)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_an_array_of_pixels_is_what_its_file_is(mode: str, tmp_path: Path) -> None:
    port, made = Port("x", (3, 16, 24)), Preprocessing("images", image_size=(16, 24), **_NORMALISED)
    pictures = [picture(mode, size) for size in ((20, 30), (33, 12))]
    files = [tmp_path / f"{number}.png" for number in range(2)]
    for each, file in zip(pictures, files, strict=True):
        each.save(file)
    expected = np.concatenate([inputs_from(file, made, [port]).tensors["x"].numpy() for file in files])
    entry, arrays = entry_for(port, made), [np.asarray(each) for each in pictures]
    for several in (arrays, tuple(files), [arrays[0], str(files[1])]):
        rows, alone = rows_of(entry, several)
        assert not alone
        np.testing.assert_allclose(rows, expected, rtol=1e-6, atol=1e-6)
    rows, alone = rows_of(entry, arrays[0])
    assert alone
    np.testing.assert_array_equal(rows, rows_of(entry, arrays)[0][:1])
    if mode != "L":
        rows, alone = rows_of(entry, arrays[0][None])  # as many libraries have one of several
        assert not alone
        np.testing.assert_array_equal(rows, rows_of(entry, arrays[0])[0])
    else:
        np.testing.assert_array_equal(rows_of(entry, arrays[0][:, :, None])[0], rows)


def test_bytes_of_the_networks_own_shape_are_taken_as_before() -> None:
    port, made = Port("x", (3, 16, 3)), Preprocessing("images", image_size=(16, 3))
    values = _RANDOM.integers(0, 256, (2, 3, 16, 3), np.uint8)
    for given in (values, list(values)):
        np.testing.assert_allclose(rows_of(entry_for(port, made), given)[0], values / np.float32(255), rtol=1e-6)
    np.testing.assert_allclose(rows_of(entry_for(port, made), values[0])[0][0], values[0] / np.float32(255), rtol=1e-6)


def encoded(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "png")
    return file.getvalue()


@pytest.mark.parametrize(
    ("given", "what", "next_"),
    [
        (lambda: encoded(picture("RGB", (8, 8)))[:60], "cannot be read", "Give a .png or .jpg."),
        (lambda: b"no picture", "cannot be read", "Give a .png or .jpg."),
        (lambda: "/nowhere/one.png", "cannot be read", "Give a .png or .jpg."),
        (lambda: np.asarray(picture("RGB", (9, 8))), "has 3 channels of 8 x 9 pixels", "3 channels of 8 x 8 pixels."),
        (lambda: np.zeros((8, 8, 3)), "was given float64 (8, 8, 3)", "Give a picture, or x: float32 (3, 8, 8), one or"),
        (lambda: np.zeros((0, 8, 3), np.uint8), "was given uint8 (0, 8, 3)", "Give a picture, or x"),
        (lambda: [], "was given float64 (0,)", "Give a picture, or x"),
    ],
    ids=["cut", "no picture", "no file", "another size", "no bytes", "no pixels", "nothing"],
)
def test_what_is_no_picture_is_said(given: Callable[[], Any], what: str, next_: str) -> None:
    entry = entry_for(Port("x", (3, 8, 8)), Preprocessing("images"))
    with pytest.raises(edge_runtime.EdgeRuntimeError) as caught:
        rows_of(entry, given())
    assert what in caught.value.what
    assert next_ in caught.value.next


def test_without_the_package_arrays_are_taken_and_pictures_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    entry = entry_for(Port("x", (3, 8, 8)), Preprocessing("images"))
    assert rows_of(entry, np.zeros((3, 8, 8), np.uint8))[0].shape == (1, 3, 8, 8)
    with pytest.raises(edge_runtime.EdgeRuntimeError, match="by the package Pillow") as caught:
        rows_of(entry, np.zeros((8, 8, 3), np.uint8))
    assert "pip install pillow" in caught.value.next


@pytest.fixture(scope="module")
def place_of_pictures(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    place = make_workplace(tmp_path_factory.mktemp("pictures"))
    for label, darkest in (("a", 0), ("b", 60), ("c", 120)):
        (place.folder / "task" / label).mkdir(parents=True)
        for number in range(10):
            values = _RANDOM.integers(darkest, darkest + 90, (11 + number, 14), np.uint8)
            Image.fromarray(values).save(place.folder / "task" / label / f"{number}.png")
    what = ("--target", "desk", "--model", "my_package.small:model", "--task", "task", "--image-size", "8")
    done = place.deploy(*what, *ONLY_RANKS, *FEW_STEPS, *ROOMY, "--shots", "5")
    assert done.returncode == 0, done.stderr
    return place


@pytest.fixture
def board(place_of_pictures: Workplace, tmp_path: Path) -> Iterator[Workplace]:
    place = copy_workplace(place_of_pictures, tmp_path / "copy")
    unlearn(place)
    yield place
    shutil.rmtree(place.folder)


def test_a_board_answers_pictures_as_deploy_infer_does_and_learns_from_them(board: Workplace) -> None:
    file = board.folder / "task" / "a" / "3.png"
    asked = board.deploy("infer", "--target", "desk", "--input", str(file), "--as-installed", "--json")
    assert asked.returncode == 0, asked.stderr
    [expected] = one_object(asked.stdout)["outputs"]
    model = edge_runtime.load(str(board.root))
    for given in (file, file.read_bytes(), np.asarray(Image.open(file))):
        np.testing.assert_allclose(model(given), expected, rtol=1e-4, atol=1e-5)
    files = sorted((board.folder / "task").glob("*/*.png"))
    assert model.learn(files, [file.parent.name for file in files], steps=5).examples == 30


def test_other_languages_send_pixels_and_name_no_files(board: Workplace) -> None:
    model = edge_runtime.load(str(board.root))
    file = board.folder / "task" / "a" / "3.png"
    values = np.asarray(Image.open(file))

    def ask(shape: list[int], datatype: str, data: Any) -> tuple[int, dict[str, Any]]:
        body = {"inputs": [{"name": "x", "datatype": datatype, "shape": shape, "data": data}]}
        status, said = answer(model, "POST", "/v2/models/model/infer", json.dumps(body).encode())
        return status, json.loads(said)

    status, said = ask([1, *values.shape, 1], "UINT8", values.tolist())
    assert status == 200, said
    np.testing.assert_allclose(said["outputs"][0]["data"], model(file), rtol=1e-4, atol=1e-5)
    status, said = ask([1], "BYTES", [str(file)])
    assert (status, "was given text" in said["error"]) == (400, True), said
