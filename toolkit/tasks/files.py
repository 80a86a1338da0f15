"""How an example is read from its file: an image, a recording, an array."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import wavfile

from edge_runtime.pictures import pixels_of
from toolkit.errors import BadInput, first_line
from toolkit.reading import AS_IT_IS, Reading
from toolkit.tasks.resample import of_length, resampled

IMAGES, RECORDINGS, ARRAYS = (".png", ".jpg", ".jpeg"), (".wav",), (".npy",)
SUFFIXES = (*IMAGES, *RECORDINGS, *ARRAYS)


@dataclass(frozen=True)
class Example:
    """Its values, and, of a recording, samples a second."""

    values: np.ndarray
    rate_hz: int | None = None


def read_example(file: Path, reading: Reading = AS_IT_IS) -> Example:
    """An image as (C, H, W) in 0..1, a recording as (1, samples) in -1..1, both float32; an array as it is.

    Images stand as their camera held them (EXIF); what is transparent is white; of several channels of a recording the
    mean is taken. `reading` says of which size, rate and length they become. Raises BadInput for a file that cannot be
    read, and for a recording without samples.
    """
    try:
        if file.suffix.lower() in ARRAYS:
            return Example(_array(file))
        if file.suffix.lower() in RECORDINGS:
            return _of_rate_and_length(_recording(file), reading)
        with Image.open(file) as image:
            return Example(pixels_of(image, reading.image_size))
    except BadInput:
        raise
    except Exception as error:  # decoders raise what they like on damaged bytes
        raise BadInput(
            f"cannot be read: {first_line(error)}", where=str(file), next="Mend or remove the file."
        ) from None


def _array(file: Path) -> np.ndarray:
    array = np.load(file, allow_pickle=False)
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiub":
        raise ValueError("it is not one array of numbers")
    return array


def _recording(file: Path) -> Example:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", wavfile.WavFileWarning)  # of chunks that hold no samples
        rate_hz, samples = wavfile.read(file)
    if samples.size == 0:
        raise BadInput("holds no samples", where=str(file), next="Remove it, or record it again.")
    values = samples.astype(np.float32)
    if samples.dtype == np.uint8:  # the one width whose silence is not zero
        values = (values - 128) / 128
    elif samples.dtype.kind == "i":  # 24 bits come as the upper ones of 32
        values /= -float(np.iinfo(samples.dtype).min)
    return Example(values.reshape(len(values), -1).mean(1)[None], rate_hz)


def _of_rate_and_length(recorded: Example, reading: Reading) -> Example:
    values, rate_hz = recorded.values, recorded.rate_hz
    assert rate_hz is not None
    if reading.sample_rate_hz is not None:
        values, rate_hz = resampled(values, rate_hz, reading.sample_rate_hz), reading.sample_rate_hz
    if reading.seconds is not None:
        values = of_length(values, round(reading.seconds * rate_hz))
    return Example(values, rate_hz)
