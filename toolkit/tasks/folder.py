"""A task from a folder `class/*.png|wav|npy`."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from toolkit.errors import BadInput
from toolkit.preprocessing import Kind, Preprocessing
from toolkit.reading import Reading, require_of_use
from toolkit.tasks.files import ARRAYS, IMAGES, RECORDINGS, SUFFIXES, Example, read_example
from toolkit.tasks.split import draw_support
from toolkit.tasks.task import Task
from toolkit.tasks.values import BYTES_ARE_SHARES, scaled_examples_of

# What there may be in a folder, what each is called, and what may be asked of it.
_KINDS = (
    (IMAGES, "a folder of images", ("image_size",)),
    (RECORDINGS, "a folder of recordings", ("sample_rate_hz", "seconds")),
    (ARRAYS, "a folder of arrays", ()),
)


def task_from_folder(
    folder: Path, shots: int, seed: int, reading: Reading, usual: Reading, on_note: Callable[[str], None]
) -> Task:
    """Support and query, read as the user says, else as is `usual` for the model.

    Raises BadInput that says what is wrong with the folder, or which file.
    """
    classes = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    files = [
        (file, index)
        for index, name in enumerate(classes)
        for file in sorted((folder / name).iterdir())
        if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
    ]
    if not files:
        raise BadInput(
            f"has no class/*{'|'.join(SUFFIXES)}",
            where=str(folder),
            next="Make one sub-folder a class and put its examples there.",
        )
    paths = [file for file, _ in files]
    require_one_kind(paths)
    for suffixes, kind, useful in _KINDS:
        if paths[0].suffix.lower() in suffixes:
            require_of_use(reading, (*useful, "mean", "std"), str(folder), kind)
            own, reading = reading, reading.or_usual(usual, useful)
            if reading != own:  # pixels and samples change: whoever did not ask for it hears of it
                on_note(f"{folder} is {kind}: they are brought to what the model's directory names ({_named(reading)})")
    examples = [read_example(file, reading) for file in paths]
    x = np.stack(_of_one_shape(paths, examples))
    if x.dtype == np.uint8:
        on_note(f"{folder} {BYTES_ARE_SHARES}")
    labels = np.array([index for _, index in files])
    support, query = draw_support(labels, shots=shots, seed=seed, where=str(folder), classes=classes)
    return Task(
        folder.name,
        tuple(classes),
        scaled_examples_of(x, labels, support, reading, str(folder)),
        scaled_examples_of(x, labels, query, reading, str(folder)),
        preprocessing=_preprocessing(paths[0], examples[0], reading),
    )


def _preprocessing(file: Path, example: Example, reading: Reading) -> Preprocessing:
    kinds: tuple[tuple[tuple[str, ...], Kind], ...] = ((IMAGES, "images"), (RECORDINGS, "recordings"))
    found: list[Kind] = [kind for suffixes, kind in kinds if file.suffix.lower() in suffixes]
    return Preprocessing(
        found[0] if found else "arrays",
        reading.mean,
        reading.std,
        sample_rate_hz=example.rate_hz,
        image_size=reading.image_size,
    )


def _named(reading: Reading) -> str:
    size, rate_hz = reading.image_size, reading.sample_rate_hz
    return f"{size[0]} x {size[1]} pixels" if size else f"{rate_hz} samples a second"


def require_one_kind(files: list[Path]) -> None:
    """Images are in 0..1, recordings in -1..1, arrays as they are: no scale in common. Raises BadInput."""
    for kind in (IMAGES, RECORDINGS, ARRAYS):
        of_kind = [file.suffix.lower() in kind for file in files]
        if any(of_kind) and not all(of_kind):
            raise BadInput(
                f"is of another kind than {files[of_kind.index(True)].name}",
                where=str(files[of_kind.index(False)]),
                next="Keep images, recordings and arrays apart: their values have different scales.",
            )


def _of_one_shape(files: list[Path], examples: list[Example]) -> list[np.ndarray]:
    """Shorter recordings end in silence, and grey images among coloured ones have three equal channels.

    Raises BadInput for what has another scale, sample rate or shape.
    """
    first = examples[0]
    for file, example in zip(files, examples, strict=True):
        if (example.values.dtype == np.uint8) != (first.values.dtype == np.uint8):
            raise BadInput(
                f"has {example.values.dtype}, while {files[0].name} has {first.values.dtype}: bytes become 0 to 1, "
                "other numbers stay",
                where=str(file),
                next="Save all arrays in one dtype.",
            )
        if example.rate_hz != first.rate_hz:
            raise BadInput(
                f"has {example.rate_hz} samples a second, while {files[0].name} has {first.rate_hz}",
                where=str(file),
                next="Give --sample-rate HZ, that of the recordings which the model learned from.",
            )
    arrays = [example.values for example in examples]
    if first.rate_hz is not None:
        longest = max(array.shape[-1] for array in arrays)
        arrays = [np.pad(array, [(0, 0), (0, longest - array.shape[-1])]) for array in arrays]
    are_images = files[0].suffix.lower() in IMAGES
    if are_images and {len(array) for array in arrays} == {1, 3}:
        arrays = [np.repeat(array, 3, 0) if len(array) == 1 else array for array in arrays]
    for file, array in zip(files, arrays, strict=True):
        if array.shape != arrays[0].shape:
            raise BadInput(
                f"has shape {array.shape}, while {files[0].name} has {arrays[0].shape}",
                where=str(file),
                next="Give --image-size N or HEIGHTxWIDTH: each is then scaled, and cropped to its centre."
                if are_images
                else "Bring all examples to one shape.",
            )
    return arrays
