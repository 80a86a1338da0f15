"""What an application hands to a model, as its program takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from .errors import EdgeRuntimeError
from .pictures import Pictures, pictures_of
from .texts import Tokenizer, texts_in, tokenizer_of

# What bytes of anything are a share of, and int16 where the network was made for recordings.
_BYTES, _SAMPLES = (np.dtype("uint8"), 255.0), (np.dtype("int16"), 32768.0)
# Whose values are as they come from files, by the kind of those.
_AS_IN_FILES: dict[str, np.dtype] = {"images": np.dtype("uint8"), "recordings": np.dtype("int16")}


@dataclass(frozen=True)
class Entry:
    """One input of a program, worked out once: a call takes microseconds.

    `raw` are NumPy types, with what their values are a share of. `mean` and `std` meet (N, channels, ...): by them
    values of type `normalised` are, and others only where `always`. By `reader` texts or pictures are taken, too.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    raw: tuple[tuple[np.dtype, float], ...]
    normalised: np.dtype | None
    mean: np.ndarray | None
    std: np.ndarray | None
    always: bool
    reader: Tokenizer | Pictures | None = None

    @cached_property
    def as_it_is(self) -> bool:
        """Whether arrays of its type are what the program takes."""
        return not self.always and self.normalised != self.dtype

    def said(self) -> str:
        """It in words."""
        array = "{}: {} ({})".format(self.name, self.dtype, ", ".join(map(str, self.shape)))
        return f"{self.reader.said}, or {array}" if self.reader else array


def entries_of(manifest: Mapping[str, Any], folder: str) -> list[Entry]:
    """Of a release that lies in `folder`, in the order of its program."""
    reader = tokenizer_of(manifest, folder) or pictures_of(manifest)
    ports, made = manifest["inputs"], manifest.get("preprocessing")
    return [replace(entry_of(port, made), reader=reader) for port in ports]


def entry_of(port: Mapping[str, Any], made: Mapping[str, Any] | None) -> Entry:
    """Of a manifest's port, and how its inputs were made of files (`preprocessing`), if they were.

    Bytes are 0 to 1, int16 of recordings -1 to 1. Bytes of images, int16 of recordings, and whatever is given where the
    task's files held arrays, are normalised as the task's were. Other values are what the network takes.
    """
    dtype, kind = np.dtype(port["dtype"]), str(made["kind"]) if made else "arrays"
    floats = dtype.kind == "f"
    raw = (_BYTES, _SAMPLES) if kind == "recordings" else (_BYTES,)
    by_channel = [-1] + [1] * (len(port["shape"]) - 1)
    mean, std = (
        np.asarray(made[name], dtype).reshape(by_channel) if made and floats and made.get(name) else None
        for name in ("mean", "std")
    )
    return Entry(
        name=port["name"],
        shape=tuple(port["shape"]),
        dtype=dtype,
        raw=raw if floats else (),
        normalised=_AS_IN_FILES.get(kind),
        mean=mean,
        std=std,
        always=kind == "arrays" and (mean is not None or std is not None),
    )


def rows_of_all(
    entries: Sequence[Entry], given: Sequence[Any], named: Mapping[str, Any]
) -> tuple[list[np.ndarray], bool]:
    """`rows_of` what is given in order and by name, as many of each. Raises EdgeRuntimeError."""
    if len(entries) == 1:
        rows_of_one, alone = rows_of(entries[0], _bound(entries, given, named)[0])
        return [rows_of_one], alone
    taken = [rows_of(entry, value) for entry, value in zip(entries, _bound(entries, given, named))]
    rows = [values for values, _ in taken]
    if len(rows) > 1 and len({len(values) for values in rows}) > 1:
        counts = ", ".join(str(len(values)) for values in rows)
        raise EdgeRuntimeError(f"was given {counts} examples", where="model(...)", next="Give as many of each input.")
    return rows, all(alone for _, alone in taken)


def _bound(entries: Sequence[Entry], given: Sequence[Any], named: Mapping[str, Any]) -> Sequence[Any]:
    """One value an input, in their order, of those given in it and by name. Raises EdgeRuntimeError."""
    if len(given) == len(entries) and not named:
        return given
    names = [entry.name for entry in entries]
    values = dict(zip(names, given))
    wrong = [name for name in named if name in values or name not in names]
    if len(given) > len(names) or wrong or len(values) + len(named) < len(names):
        raise EdgeRuntimeError(
            f"was given {len(given)} inputs in order and {', '.join(named) or 'none'} by name",
            where="model(...)",
            next="Give each of these once: " + "; ".join(entry.said() for entry in entries) + ".",
        )
    values.update(named)
    return [values[name] for name in names]


def rows_of(entry: Entry, value: Any) -> tuple[np.ndarray, bool]:
    """(N, ...) in the input's type, and whether one example without that axis was given. Raises EdgeRuntimeError."""
    if type(value) is np.ndarray and value.shape == entry.shape and value.dtype == entry.dtype and entry.as_it_is:
        return value[None], True
    if entry.reader and (given := entry.reader.given(value)):
        return _normalised(entry, entry.reader.rows(given[0]).astype(entry.dtype)), given[1]
    if texts_in(value):
        raise _unread(entry)
    try:
        array = value if type(value) is np.ndarray else np.asarray(value)
    except Exception:  # nested lists of different lengths, or what is no number at all
        raise EdgeRuntimeError("was given no array", where=entry.name, next=f"Give {entry.said()}.") from None
    alone = array.shape == entry.shape
    rows = array[None] if alone else array
    if not alone and (array.shape[1:] != entry.shape or len(array) == 0):
        raise _unfit(entry, array)
    whole = next((share for dtype, share in entry.raw if array.dtype == dtype), None)
    if array.dtype != entry.dtype:
        if not _may_be(array.dtype, entry.dtype):
            raise _unfit(entry, array)
        rows = rows.astype(entry.dtype)
    if whole:
        rows = rows / entry.dtype.type(whole)
    if entry.always or (entry.normalised is not None and array.dtype == entry.normalised):
        rows = _normalised(entry, rows)
    return rows, alone


def _normalised(entry: Entry, rows: np.ndarray) -> np.ndarray:
    rows = rows if entry.mean is None else rows - entry.mean
    return rows if entry.std is None else rows / entry.std


def _unread(entry: Entry) -> EdgeRuntimeError:
    return EdgeRuntimeError(
        "was given text, and the release has no tokenizer.json for it",
        where=entry.name,
        next=f"Give {entry.said()}, one or several.",
    )


def _unfit(entry: Entry, array: np.ndarray) -> EdgeRuntimeError:
    return EdgeRuntimeError(
        f"was given {array.dtype} {array.shape}", where=entry.name, next=f"Give {entry.said()}, one or several."
    )


def _may_be(given: np.dtype, right: np.dtype) -> bool:
    return given.kind in ("fiu" if right.kind == "f" else "b" if right.kind == "b" else "iu")
