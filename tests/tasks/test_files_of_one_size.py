"""Images of any size become one size, recordings of any rate and length one rate and length; unasked, none does."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile

from toolkit.errors import BadInput
from toolkit.reading import AS_IT_IS, Reading
from toolkit.tasks import load_task
from toolkit.tasks.files import read_example

_RATE_HZ = 16_000


def _picture(file: Path, pixels: np.ndarray) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file)
    return file


def _tone(file: Path, hertz: float, rate_hz: int = _RATE_HZ, seconds: float = 0.5) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    times = np.arange(int(rate_hz * seconds)) / rate_hz
    wavfile.write(file, rate_hz, np.sin(2 * np.pi * hertz * times).astype(np.float32))
    return file


def test_of_an_image_the_centre_is_kept_in_its_proportions(tmp_path: Path) -> None:
    three = np.zeros((10, 30, 3), np.uint8)
    for third in range(3):
        three[:, 10 * third : 10 * third + 10, third] = 255  # red, green, blue
    values = read_example(_picture(tmp_path / "a.png", three), Reading(image_size=(10, 10))).values
    assert values.shape == (3, 10, 10)
    assert values.mean((1, 2)).tolist() == [0, 1, 0]


def test_pixels_that_become_one_are_averaged(tmp_path: Path) -> None:
    stripes = np.tile(np.array([0, 255], np.uint8), (64, 32))  # to the nearest they would all be black, or all white
    values = read_example(_picture(tmp_path / "a.png", stripes), Reading(image_size=(16, 16))).values
    assert values.dtype == np.float32
    assert values[0, :, 1:-1] == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("size", [(8, 12), (50, 40)])
def test_height_comes_first_and_16_bits_keep_their_scale(tmp_path: Path, size: tuple[int, int]) -> None:
    grey = np.full((20, 30), 6554, np.uint16)
    values = read_example(_picture(tmp_path / "a.png", grey), Reading(image_size=size)).values
    assert values.shape == (1, *size)
    assert values == pytest.approx(6554 / 65535, abs=1e-6)


def test_a_folder_of_any_sizes_is_read_at_one(tmp_path: Path) -> None:
    for index, (height, width) in enumerate([(20, 30), (31, 17), (8, 8)]):
        for name in ("cat", "dog"):
            _picture(tmp_path / name / f"{index}.png", np.full((height, width), 51, np.uint8))
    with pytest.raises(BadInput) as caught:
        load_task(str(tmp_path), shots=1, seed=0)
    assert caught.value.next is not None
    assert "--image-size" in caught.value.next
    task = load_task(str(tmp_path), shots=1, seed=0, reading=Reading(image_size=(12, 16)))
    assert task.query.x.tensors["x"].shape == (4, 1, 12, 16)
    assert task.query.x.tensors["x"].numpy() == pytest.approx(0.2, abs=1e-6)


def test_a_resampled_tone_is_the_same_tone(tmp_path: Path) -> None:
    wanted = read_example(_tone(tmp_path / "b.wav", 1000, rate_hz=8000)).values
    for rate_hz in (16_000, 44_100):
        read = read_example(_tone(tmp_path / "a.wav", 1000, rate_hz=rate_hz), Reading(sample_rate_hz=8000))
        assert (read.rate_hz, read.values.shape, read.values.dtype) == (8000, (1, 4000), np.float32)
        inner = slice(200, -200)  # a filter rings at both ends
        assert read.values[0, inner] == pytest.approx(wanted[0, inner], abs=0.01)


def test_a_tone_that_the_new_rate_cannot_hold_is_filtered_out(tmp_path: Path) -> None:
    values = read_example(_tone(tmp_path / "a.wav", 6000), Reading(sample_rate_hz=8000)).values
    assert np.abs(values[0, 200:-200]).max() < 0.01  # every second sample would be a tone of 2 kHz, as loud as it was


def test_a_folder_of_mixed_rates_is_read_at_one(tmp_path: Path) -> None:
    for index, rate_hz in enumerate([8000, 16_000, 44_100]):
        for name in ("yes", "no"):
            _tone(tmp_path / name / f"{index}.wav", 500, rate_hz)
    with pytest.raises(BadInput, match=r"16000 samples a second, while 0\.wav has 8000") as caught:
        load_task(str(tmp_path), shots=1, seed=0)
    assert caught.value.next is not None
    assert "--sample-rate" in caught.value.next
    assert load_task(str(tmp_path), shots=1, seed=0, reading=Reading(sample_rate_hz=8000)).query.x.tensors[
        "x"
    ].shape == (4, 1, 4000)


@pytest.mark.parametrize(("seconds", "samples"), [(0.25, 4000), (0.75, 12_000)])
def test_recordings_are_cut_or_end_in_silence(tmp_path: Path, seconds: float, samples: int) -> None:
    file = _tone(tmp_path / "a.wav", 500)
    whole, read = read_example(file).values, read_example(file, Reading(seconds=seconds)).values
    assert read.shape == (1, samples)
    assert (read[:, :8000] == whole[:, :samples]).all()
    assert (read[:, 8000:] == 0).all()


def test_a_rate_that_no_recording_has_is_refused(tmp_path: Path) -> None:
    wavfile.write(tmp_path / "a.wav", 2_000_000_011, np.zeros(8, np.int16))
    assert read_example(tmp_path / "a.wav", AS_IT_IS).rate_hz == 2_000_000_011
    with pytest.raises(BadInput, match="it says 2000000011 samples a second"):
        read_example(tmp_path / "a.wav", Reading(sample_rate_hz=8000))
