"""Tasks come from folders and files as people keep them; whatever is wrong with them is said in two lines."""

import io
import pickle
import tempfile
import wave
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image
from scipy.io import wavfile

from toolkit.errors import BadInput
from toolkit.inputs import join
from toolkit.tasks import Examples, Task, load_task, split_support, validate_task


def _image(mode: str = "L", size: tuple[int, int] = (4, 3), format: str = "PNG", value: int = 51) -> bytes:
    file = io.BytesIO()
    Image.new(mode, size, value if mode in ("L", "I;16") else (value, 0, 255)).save(file, format)
    return file.getvalue()


def _wav(samples: list[int], channels: int = 1, width: int = 2, rate_hz: int = 8000) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as recording:
        recording.setnchannels(channels)
        recording.setsampwidth(width)
        recording.setframerate(rate_hz)
        recording.writeframes(b"".join(each.to_bytes(width, "little", signed=width > 1) for each in samples))
    return file.getvalue()


def _float_wav(samples: list[float]) -> bytes:
    file = io.BytesIO()
    wavfile.write(file, 8000, np.array(samples, np.float32))
    return file.getvalue()


def _transparent() -> bytes:
    """A black pixel that nobody sees, and a red one."""
    file, image = io.BytesIO(), Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    image.putpixel((0, 0), (0, 0, 0, 0))
    image.save(file, "PNG")
    return file.getvalue()


def _turned() -> bytes:
    """Four pixels wide and three high as it lies there, and on its side for whoever reads EXIF."""
    file, image = io.BytesIO(), Image.new("L", (4, 3), 51)
    image.getexif()[ExifTags.Base.Orientation] = 6
    image.save(file, "JPEG", exif=image.getexif())
    return file.getvalue()


def _npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def _npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def _folder(root: Path, files: dict[str, bytes]) -> str:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return str(root)


def _two_classes(suffix: str, data: bytes) -> dict[str, bytes]:
    return {f"{name}/{index}{suffix}": data for name in ("cat", "dog") for index in range(3)}


def _refusal(source: str, shots: int = 1) -> str:
    with pytest.raises(BadInput) as caught:
        load_task(source, shots=shots, seed=0)
    assert len(str(caught.value).splitlines()) <= 2
    return str(caught.value)


@pytest.mark.parametrize(
    ("suffix", "data", "shape", "first"),
    [
        (".png", _image("L"), (1, 3, 4), 51 / 255),
        (".PNG", _image("RGB"), (3, 3, 4), 51 / 255),
        (".png", _image("RGBA"), (3, 3, 4), 51 / 255),
        (".png", _image("I;16", value=6554), (1, 3, 4), 6554 / 65535),
        (".jpeg", _image("L", format="JPEG"), (1, 3, 4), 51 / 255),
        (".wav", _wav([8192, -16384, 0]), (1, 3), 0.25),
        (".wav", _wav([8192, -16384, 0, 0], channels=2), (1, 2), -0.125),
        (".wav", _wav([160, 128, 0], width=1), (1, 3), 0.25),
        (".wav", _wav([2**21, 0], width=3), (1, 2), 0.25),
        (".wav", _wav([2**29, 0], width=4), (1, 2), 0.25),
        (".wav", _float_wav([0.25, -1.0]), (1, 2), 0.25),
        (".png", _transparent(), (3, 1, 2), 1.0),
        (".jpg", _turned(), (1, 4, 3), 51 / 255),
        (".npy", _npy(np.array([[7, 8]], np.int16)), (1, 2), 7.0),
    ],
    ids=[
        "grey",
        "RGB",
        "RGBA",
        "16-bit grey",
        "JPEG",
        "mono",
        "stereo",
        "8 bits",
        "24 bits",
        "32 bits",
        "floats",
        "transparent",
        "turned",
        "array",
    ],
)
def test_a_folder_holds_one_class_a_sub_folder(
    tmp_path: Path, suffix: str, data: bytes, shape: tuple[int, ...], first: float
) -> None:
    task = load_task(_folder(tmp_path, _two_classes(suffix, data)), shots=2, seed=0)
    assert task.classes == ("cat", "dog")
    assert (tuple(task.support.x.tensors["x"].shape), task.support.y.tolist()) == ((4, *shape), [0, 0, 1, 1])
    assert (tuple(task.query.x.tensors["x"].shape), task.query.y.tolist()) == ((2, *shape), [0, 1])
    assert float(task.query.x.tensors["x"].flatten()[0]) == pytest.approx(first, abs=1e-4)


def test_recordings_of_different_length_end_in_silence(tmp_path: Path) -> None:
    files = {**_two_classes(".wav", _wav([100])), "dog/long.wav": _wav([100, 100, 100])}
    task = load_task(_folder(tmp_path, files), shots=1, seed=0)
    assert task.query.x.tensors["x"].shape == (5, 1, 3)
    assert sorted(join([task.support.x, task.query.x]).tensors["x"][:, 0, 2].mul(32768).tolist()) == [
        0,
        0,
        0,
        0,
        0,
        0,
        100,
    ]


def test_grey_images_among_coloured_ones_have_three_equal_channels(tmp_path: Path) -> None:
    files = {**_two_classes(".png", _image()), "dog/x.png": _image("RGB")}
    task = load_task(_folder(tmp_path, files), shots=1, seed=0)
    x = join([task.support.x, task.query.x]).tensors["x"]
    assert x.shape == (7, 3, 3, 4)
    assert sorted(float(each[2, 0, 0]) for each in x) == pytest.approx([0.2] * 6 + [1.0])


def test_labels_may_stand_in_a_column(tmp_path: Path) -> None:
    path = tmp_path / "digits.npz"
    path.write_bytes(_npz(x=_X, y=_Y[:, None]))
    assert load_task(str(path), shots=2, seed=0).support.y.tolist() == [0, 1, 0, 1]


def test_hidden_folders_and_files_are_not_examples(tmp_path: Path) -> None:
    extra = {".ipynb_checkpoints/0.png": b"", "cat/._0.png": b"not an image", "cat/notes.txt": b"", "readme.png": b""}
    task = load_task(_folder(tmp_path, {**_two_classes(".png", _image()), **extra}), shots=1, seed=0)
    assert (task.classes, len(task.query)) == (("cat", "dog"), 4)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "has no class/*.png"),
        ({"cat/readme.txt": b""}, "has no class/*.png"),
        ({f"cat/{index}.png": _image() for index in range(3)}, "at least two are needed"),
        ({**_two_classes(".png", _image()), "dog/x.png": _image(size=(5, 5))}, "has shape (1, 5, 5)"),
        ({**_two_classes(".png", _image()), "dog/x.npy": _npy(np.zeros((1, 3, 4)))}, "x.npy is of another kind than"),
        ({**_two_classes(".wav", _wav([1])), "dog/x.wav": _wav([1], rate_hz=16_000)}, "has 16000 samples a second"),
        ({**_two_classes(".wav", _wav([1])), "dog/x.wav": _wav([])}, "x.wav holds no samples"),
        ({**_two_classes(".png", _image()), "cow/only.png": _image()}, "class cow has 1 example(s)"),
        ({**_two_classes(".png", _image()), "dog/x.png": b"not an image"}, "x.png cannot be read"),
        (_two_classes(".npy", _npy(np.float32(np.nan) * np.ones(3, np.float32))), "NaN or infinity"),
        (_two_classes(".npy", _npy(np.array(["text"]))), "not one array of numbers"),
        (_two_classes(".npy", _npz(x=np.zeros(3))), "not one array of numbers"),
        (_two_classes(".npy", pickle.dumps([1, 2])), "cannot be read"),
    ],
    ids=[
        "empty",
        "no examples",
        "one class",
        "sizes",
        "kinds",
        "sample rates",
        "no samples",
        "too few",
        "corrupt",
        "NaN",
        "text",
        "npz as npy",
        "pickle",
    ],
)
def test_what_is_wrong_with_a_folder_is_said(tmp_path: Path, files: dict[str, bytes], said: str) -> None:
    assert said in _refusal(_folder(tmp_path, files))


@pytest.mark.parametrize(("held", "advice"), [(1, "\nAdd examples."), (3, "\nAdd examples, or lower --shots to 2.")])
def test_too_few_examples_are_counted_and_no_smaller_support_advised_than_one(
    tmp_path: Path, held: int, advice: str
) -> None:
    files = {**_two_classes(".png", _image()), **{f"dog/{index}.png": _image() for index in range(9)}}
    files |= {f"cow/{index}.png": _image() for index in range(held)} | {
        f"cat/{index}.png": _image() for index in range(9)
    }
    said = _refusal(_folder(tmp_path, files), shots=3)
    assert f"class cow has {held} example(s); 3 for support leave none to query{advice}" in said


def test_a_class_without_examples_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "no support example of empty" in _refusal(_folder(tmp_path, _two_classes(".png", _image())))


_X, _Y = np.zeros((6, 3), np.float32), np.array([0, 1] * 3)


def test_an_npz_may_name_its_classes(tmp_path: Path) -> None:
    path = tmp_path / "digits.npz"
    path.write_bytes(_npz(x=_X, y=np.array(["one", "two"] * 3), general_x=_X, general_y=_Y))
    task = load_task(str(path), shots=2, seed=0)
    assert (task.name, task.classes) == ("digits", ("one", "two"))
    assert task.general is not None
    assert (task.general.x.tensors["x"].dtype, task.general.y.tolist()) == (torch.float32, [0, 1, 0, 1, 0, 1])
    assert task.general_query is None  # too few to share


def test_a_fifth_of_the_general_data_of_an_npz_is_held_out(tmp_path: Path) -> None:
    path = tmp_path / "digits.npz"
    general = np.arange(60, dtype=np.float32).reshape(20 * 3, 1).repeat(3, 1)
    path.write_bytes(_npz(x=_X, y=_Y, general_x=general, general_y=np.arange(60) % 4))
    task, other = load_task(str(path), shots=2, seed=0), load_task(str(path), shots=2, seed=1)
    assert task.general is not None
    assert task.general_query is not None
    assert other.general_query is not None
    assert (len(task.general), len(task.general_query)) == (48, 12)
    together = join([task.general.x, task.general_query.x]).tensors["x"][:, 0]
    assert sorted(together.tolist()) == list(range(60))
    assert (task.general_query.y == task.general_query.x.tensors["x"][:, 0].long() % 4).all()
    assert task.general_query.x.tensors["x"].tolist() != other.general_query.x.tensors["x"].tolist()


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({}, "has no array x and y (it has none)"),
        ({"x": _X, "labels": _Y}, "has no array y (it has x, labels)"),
        ({"x": _X, "y": _Y.astype(float)}, "y is float64 and holds whole numbers alone"),
        ({"x": _X, "y": _Y[:5]}, "y is int64 (5,)"),
        ({"x": _X, "y": np.array(0)}, "y is int64 ()"),
        ({"x": np.array(0.0), "y": _Y}, "x is float64 ()"),
        ({"x": np.array([["a"]] * 6), "y": _Y}, "x is <U1 (6, 1)"),
        ({"x": np.array([object()] * 6), "y": _Y}, "array of Python objects"),
        ({"x": _X, "y": np.array(["one", "two"] * 3, object)}, "y.astype(str)"),
        ({"x": _X[:0], "y": _Y[:0]}, "is empty"),
        ({"x": _X, "y": 0 * _Y}, "at least two are needed"),
        ({"x": _X + np.nan, "y": _Y}, "support has NaN or infinity in 2 of 2 inputs"),
        ({"x": _X, "y": np.arange(6)}, "class 0 has 1 example(s)"),
        ({"x": _X, "y": np.eye(3)[[0, 1, 2] * 2]}, "Of one-hot labels save y.argmax(1)."),
        ({"x": _X, "y": np.array([["a", "b"]] * 6)}, "y is <U1 (6, 2); expected labels (N,), values (N, K)"),
        ({"x": _X, "y": np.full((6, 1), np.nan)}, "y holds NaN or infinity"),
        ({"x": _X, "y": _Y, "general_x": _X}, "has general_x alone"),
        ({"x": _X, "y": _Y, "general_x": _X, "general_y": np.array(["a"] * 6)}, "general_y is <U1"),
        ({"x": _X, "y": _Y, "general_x": _X[:, :2], "general_y": _Y}, "inputs have different shapes"),
    ],
)
def test_what_is_wrong_with_an_npz_is_said(tmp_path: Path, arrays: dict[str, Any], said: str) -> None:
    (tmp_path / "task.npz").write_bytes(_npz(**arrays))
    assert said in _refusal(str(tmp_path / "task.npz"))


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
            return Path.touch, (tmp_path / "exploded",)  # type: ignore[return-value]

    bomb = np.array([Bomb()], dtype=object)
    (tmp_path / "task.npz").write_bytes(_npz(x=bomb, y=bomb))
    _refusal(str(tmp_path / "task.npz"))
    _refusal(_folder(tmp_path / "folder", _two_classes(".npy", _npy(bomb))))
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("source", "said"),
    [("no/such/folder", "no such task"), ("no/such.npz", "no such task"), (__file__, "no task")],
)
def test_a_source_that_is_none_is_refused(source: str, said: str) -> None:
    assert said in _refusal(source)


_GOOD = {
    ".png": (_image("L"), _image("RGB")),
    ".jpg": (_image("L", format="JPEG"),),
    ".wav": (_wav([1, 2, 3, 4]),),
    ".npy": (_npy(np.zeros((2, 3), np.float32)), _npz(x=_X)),
    ".npz": (_npz(x=_X, y=_Y),),
}


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from(sorted(_GOOD)))
def test_damaged_files_are_read_or_refused(data: st.DataObject, suffix: str) -> None:
    damaged = bytearray(data.draw(st.sampled_from(_GOOD[suffix])))
    for position, byte in data.draw(st.lists(st.tuples(st.integers(0, 4096), st.integers(0, 255)), max_size=8)):
        damaged[position % len(damaged)] = byte
    del damaged[data.draw(st.integers(0, len(damaged)) | st.just(len(damaged))) :]
    with tempfile.TemporaryDirectory() as folder:
        if suffix == ".npz":
            source = str(Path(folder, "task.npz"))
            Path(source).write_bytes(damaged)
        else:
            good = _GOOD[suffix][0]
            source = _folder(Path(folder), {**_two_classes(suffix, good), f"dog/x{suffix}": bytes(damaged)})
        with suppress(BadInput):
            load_task(source, shots=1, seed=0)


@settings(deadline=None)
@given(st.integers(2, 4), st.integers(1, 3), st.integers(1, 3), st.integers(0, 99))
def test_support_and_query_part_the_examples(classes: int, shots: int, rest: int, seed: int) -> None:
    y = np.random.default_rng(seed).permutation(np.repeat(np.arange(classes), shots + rest))
    x = np.arange(len(y), dtype=np.float32)[:, None]
    support, query = split_support(x, y, shots=shots, seed=seed, where="here")
    assert np.bincount(support.y.numpy()).tolist() == [shots] * classes
    assert sorted(join([support.x, query.x]).tensors["x"][:, 0].tolist()) == x[:, 0].tolist()
    for part in (support, query):
        assert (torch.from_numpy(y)[part.x.tensors["x"][:, 0].long()] == part.y).all()
    again, _ = split_support(x, y, shots=shots, seed=seed, where="here")
    assert torch.equal(support.x.tensors["x"], again.x.tensors["x"])


_TASK = Task("t", ("a", "b"), *[Examples(torch.zeros(2, 3), torch.tensor([0, 1]))] * 2)


@pytest.mark.parametrize(
    ("support", "said"),
    [
        (Examples(np.zeros((2, 3)), np.array([0, 1])), "x of ndarray and y of ndarray, expected tensors"),  # type: ignore[arg-type]
        (Examples(torch.zeros(2, 3).double(), torch.tensor([0, 1])), "x of torch.float64"),
        (Examples(torch.zeros(2, 3), torch.tensor([0, 1], dtype=torch.int32)), "y of torch.int32"),
        (Examples(torch.zeros(2, 3), torch.tensor([0, 2])), "labels outside 0..1"),
        (Examples(torch.zeros(2, 3), torch.tensor([0, 0])), "no support example of b"),
        (Examples(torch.tensor(0.0), torch.tensor(0)), "support is empty"),
        (Examples(torch.zeros(0, 3), torch.zeros(0).long()), "support is empty"),
    ],
    ids=["arrays", "double", "int32", "label", "class", "scalar", "empty"],
)
def test_what_is_wrong_with_a_made_task_is_said(support: Examples, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        validate_task(replace(_TASK, support=support))
    assert said in caught.value.what
    assert validate_task(_TASK) is _TASK
