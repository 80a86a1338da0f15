"""Inputs of a network from files that come later, made as the task's were."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from toolkit.errors import BadInput, first_line
from toolkit.inputs import Inputs, Port
from toolkit.preprocessing import Preprocessing
from toolkit.reading import Reading
from toolkit.tasks.box_files import read_text
from toolkit.tasks.files import IMAGES, RECORDINGS, read_example
from toolkit.tasks.resample import of_length
from toolkit.tasks.table import TABLES, TEXT, read_rows
from toolkit.tasks.tokens import ids_of_length
from toolkit.tasks.values import scaled_examples_of

_ARRAYS = (".npy", ".npz")
# How a file of each kind is called, for who gives another.
_WANTED = {
    "images": "an image (.png, .jpg)",
    "recordings": "a recording (.wav)",
    "arrays": "arrays (.npy)",
    "numbers": "a table (.csv, .jsonl)",
    "texts": "texts (.txt, one a line, .csv or .jsonl)",
}


def inputs_from(file: Path, made: Preprocessing | None, ports: Sequence[Port]) -> Inputs:
    """One example, or several, of what lies in a file. `made` is None where the task's inputs came from no files.

    Arrays (.npy; .npz with one by the name of each port) always do: float32 as the network takes it, uint8 as 0 to 1.
    Raises BadInput that says what is expected instead.
    """
    suffix = file.suffix.lower()
    if suffix in _ARRAYS:
        arrays = _arrays(file, ports)
        tensors = {port.name: _fitted(file, arrays[port.name], port, made) for port in ports}
        if len({len(tensor) for tensor in tensors.values()}) > 1:
            raise BadInput("has not as many rows in each array", where=str(file), next="Give one of each an example.")
        return Inputs(tensors)
    if made is None or len(ports) != 1:
        raise BadInput(
            "is no file of arrays, and the release does not say how inputs are made of others",
            where=str(file),
            next=f"Give a .npz with {', '.join(map(_said, ports))}.",
        )
    [port] = ports
    by_kind = {"images": _image, "recordings": _recording, "numbers": _numbers, "texts": _texts}
    suffixes = {"images": IMAGES, "recordings": RECORDINGS, "numbers": TABLES, "texts": (".txt", *TABLES)}
    if made.kind not in by_kind or suffix not in suffixes[made.kind]:
        raise BadInput(
            f"is not what the network was made for: {_WANTED[made.kind]}",
            where=str(file),
            next=f"Give that, or a .npy with {_said(port)}.",
        )
    return Inputs({port.name: _fitted(file, by_kind[made.kind](file, made, port), port, made)})


def _image(file: Path, made: Preprocessing, port: Port) -> np.ndarray:
    pixels = read_example(file, Reading(image_size=made.image_size)).values
    return np.repeat(pixels, 3, 0) if (len(pixels), port.shape[0]) == (1, 3) else pixels


def _recording(file: Path, made: Preprocessing, port: Port) -> np.ndarray:
    values = read_example(file, Reading(sample_rate_hz=made.sample_rate_hz)).values
    return of_length(values, port.shape[-1])


def _numbers(file: Path, made: Preprocessing, port: Port) -> np.ndarray:
    rows = []
    for row in read_rows(file):
        try:
            rows.append([float(row.cells[name]) for name in made.columns])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise BadInput(
                f"line {row.line}: {first_line(error)}",
                where=str(file),
                next=f"Give numbers in the columns {', '.join(made.columns[:8])}{', ...' * (len(made.columns) > 8)}.",
            ) from None
    return np.array(rows, np.float64).reshape(-1, len(made.columns))


def _texts(file: Path, made: Preprocessing, port: Port) -> np.ndarray:
    if made.tokenizer is None or made.padding_id is None:
        raise BadInput(
            "holds texts, and the release has no tokenizer.json: the model's is of an older form",
            where=str(file),
            next=f"Give a .npy with {_said(port)}.",
        )
    if file.suffix.lower() in TABLES:
        found = [next((row.cells[name] for name in TEXT if name in row.cells), None) for row in read_rows(file)]
        if not all(isinstance(text, str) for text in found):
            raise BadInput("has no column text", where=str(file), next="Name the column of texts text.")
        texts = [str(text) for text in found]
    else:
        texts = [line for line in read_text(file).splitlines() if line.strip()]
    return ids_of_length(texts, made.tokenizer, made.padding_id, port.shape[-1])


def _arrays(file: Path, ports: Sequence[Port]) -> Mapping[str, np.ndarray]:
    try:
        loaded = np.load(file, allow_pickle=False)
        arrays = {ports[0].name: loaded} if isinstance(loaded, np.ndarray) else dict(loaded)
    except Exception as error:  # NumPy raises what it likes on damaged files
        said = f"cannot be read: {first_line(error)}"
        if "Object arrays" in str(error):
            said = "holds Python objects, which are not unpickled"
        elif "pickle" in str(error):  # what NumPy takes any other file for
            said = "is no file of NumPy arrays"
        raise BadInput(said, where=str(file), next="Save arrays of numbers by NumPy.") from None
    if absent := [port for port in ports if port.name not in arrays]:
        raise BadInput(
            f"has no array {absent[0].name} (it has {', '.join(arrays)})",
            where=str(file),
            next=f"Give a .npz with {', '.join(map(_said, ports))}.",
        )
    return arrays


def _fitted(file: Path, values: np.ndarray, port: Port, made: Preprocessing | None) -> torch.Tensor:
    """(N, *shape) in the dtype of the port, by channel as the task's were."""
    values = values[None] if values.shape == port.shape else values
    right = np.dtype(port.dtype)
    if values.shape[1:] != port.shape or len(values) == 0 or not _may_be(values.dtype, right):
        raise BadInput(
            f"holds {values.dtype} {values.shape}", where=str(file), next=f"Give {_said(port)}, one or several."
        )
    if right != np.float32:
        return torch.from_numpy(values.astype(right))
    if not (np.abs(values) <= np.finfo(np.float32).max).all():
        raise BadInput("holds what is no number of float32", where=str(file), next="Leave these examples out.")
    if made and made.kind == "recordings" and values.dtype == np.int16:  # as microphones and .wav files have it
        values, is_samples = (values / 32768).astype(np.float32), True
    else:
        is_samples = False
    rows, nothing = np.arange(len(values)), np.zeros(len(values), np.int64)
    # Arrays are what the network takes already, unless the task's were arrays, or bytes stand for pixels.
    is_raw = made is not None and (
        file.suffix not in _ARRAYS
        or made.kind == "arrays"
        or is_samples
        or (made.kind == "images" and values.dtype == np.uint8)
    )
    reading = Reading(mean=made.mean, std=made.std) if made and is_raw else Reading()
    [tensor] = scaled_examples_of(values, nothing, rows, reading, str(file)).x
    return tensor


def _may_be(given: np.dtype, right: np.dtype) -> bool:
    return given.kind in ("fiu" if right.kind == "f" else "b" if right.kind == "b" else "iu")


def _said(port: Port) -> str:
    return f"{port.name}: {port.dtype} ({', '.join(map(str, port.shape))})"
