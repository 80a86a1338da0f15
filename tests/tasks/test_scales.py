"""Bytes are 0 to 1 wherever they come from, nothing else is scaled unasked, and nothing of two scales is mixed."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from toolkit.errors import BadInput
from toolkit.inputs import join
from toolkit.reading import AS_IT_IS, Reading
from toolkit.tasks import Task, load_task, split_support

_PIXELS = np.array([[0, 51], [102, 255]], np.uint8)
_SHARES = torch.tensor([[0.0, 0.2], [0.4, 1.0]])  # of 255
_Y = np.array([0, 1] * 3)


def _read(source: Path, reading: Reading = AS_IT_IS) -> tuple[Task, list[str]]:
    notes: list[str] = []
    return load_task(str(source), shots=1, seed=0, reading=reading, on_note=notes.append), notes


def _images(folder: Path) -> Path:
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for index in range(3):
            Image.fromarray(_PIXELS).save(folder / name / f"{index}.png")
    return folder


def _arrays(folder: Path, array: np.ndarray) -> Path:
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for index in range(3):
            np.save(folder / name / f"{index}.npy", array)
    return folder


def _npz(file: Path, array: np.ndarray, **more: np.ndarray) -> Path:
    np.savez(file, x=np.stack([array] * 6), y=_Y, **more)
    return file


def test_bytes_have_one_scale_from_every_source(tmp_path: Path) -> None:
    sources = {
        "images": _images(tmp_path / "images"),
        "arrays": _arrays(tmp_path / "arrays", _PIXELS[None]),
        "npz": _npz(tmp_path / "task.npz", _PIXELS[None]),
    }
    read = {name: _read(source) for name, source in sources.items()}
    for task, _ in read.values():
        assert torch.allclose(task.query.x.tensors["x"], _SHARES.expand(4, 1, 2, 2))
        assert torch.allclose(task.support.x.tensors["x"], _SHARES.expand(2, 1, 2, 2))
    assert read["images"][1] == []
    for name in ("arrays", "npz"):
        [note] = read[name][1]
        assert str(sources[name]) in note
        assert "0 to 1" in note


@pytest.mark.parametrize("dtype", [np.int16, np.int64, np.float32, np.float64])
def test_other_numbers_are_what_they_are(tmp_path: Path, dtype: type) -> None:
    for source in (
        _arrays(tmp_path / "arrays", _PIXELS.astype(dtype)),
        _npz(tmp_path / "a.npz", _PIXELS.astype(dtype)),
    ):
        task, notes = _read(source)
        assert task.query.x.tensors["x"][0].tolist() == _PIXELS.tolist()
        assert notes == []


def test_general_bytes_have_the_same_scale(tmp_path: Path) -> None:
    general = np.repeat(np.arange(60, dtype=np.uint8), 4).reshape(60, 1, 2, 2)
    source = _npz(tmp_path / "a.npz", _PIXELS[None], general_x=general, general_y=np.arange(60) % 2)
    task, _ = _read(source)
    assert task.general is not None
    assert task.general_query is not None
    together = join([task.general.x, task.general_query.x]).tensors["x"][:, 0, 0, 0]
    assert together.sort().values.tolist() == pytest.approx((np.arange(60) / 255).tolist())


def test_two_scales_are_not_mixed(tmp_path: Path) -> None:
    source = _npz(tmp_path / "a.npz", _PIXELS, general_x=np.zeros((6, 2, 2)), general_y=_Y)
    with pytest.raises(BadInput, match="x is uint8 and general_x is float64"):
        _read(source)
    folder = _arrays(tmp_path / "arrays", _PIXELS)
    np.save(folder / "dog" / "1.npy", _PIXELS / 255)
    with pytest.raises(BadInput, match=r"has float64, while 0\.npy has uint8") as caught:
        _read(folder)
    assert caught.value.where == str(folder / "dog" / "1.npy")


def test_a_factory_that_splits_its_own_arrays_keeps_their_values() -> None:
    support, query = split_support(np.stack([_PIXELS] * 6), _Y, shots=1, seed=0, where="here")
    assert support.x.tensors["x"][0].tolist() == query.x.tensors["x"][0].tolist() == _PIXELS.tolist()


def test_inputs_are_normalised_by_channel(tmp_path: Path) -> None:
    coloured = np.stack([_PIXELS, _PIXELS, _PIXELS])
    reading = Reading(mean=(0.0, 0.2, 1.0), std=(1.0, 2.0, 0.5))
    task, _ = _read(_npz(tmp_path / "a.npz", coloured), reading)
    assert torch.allclose(task.query.x.tensors["x"][0], torch.stack([_SHARES, (_SHARES - 0.2) / 2, (_SHARES - 1) * 2]))
    task, _ = _read(_images(tmp_path / "images"), Reading(mean=(0.5,), std=(0.5,)))
    assert torch.allclose(task.query.x.tensors["x"][0], 2 * _SHARES[None] - 1)


def test_means_of_other_channels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        _read(_images(tmp_path / "images"), Reading(mean=(0.5, 0.5, 0.5)))
    assert caught.value.where == "task.mean"
    assert "have 1 channels (1, 2, 2)" in caught.value.what


def test_what_has_no_effect_is_refused(tmp_path: Path) -> None:
    images, arrays = _images(tmp_path / "images"), _npz(tmp_path / "a.npz", _PIXELS)
    for source, reading, option in (
        (images, Reading(sample_rate_hz=8000), "--sample-rate"),
        (images, Reading(tokens=5), "task.tokens"),
        (arrays, Reading(image_size=(2, 2)), "--image-size"),
        (Path("toolkit.examples.digits:task"), Reading(std=(1.0,)), "task.std"),
    ):
        with pytest.raises(BadInput, match="has no effect on") as caught:
            _read(source, reading)
        assert caught.value.where == option
