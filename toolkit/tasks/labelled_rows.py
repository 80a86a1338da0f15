"""A task from a table: texts with labels, or numbers with labels."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np

from toolkit.errors import BadInput
from toolkit.preprocessing import Preprocessing
from toolkit.reading import Reading, require_of_use
from toolkit.tasks.split import draw_support
from toolkit.tasks.table import LABEL, TEXT, Row, read_rows
from toolkit.tasks.task import Task
from toolkit.tasks.tokens import MOST_TOKENS, file_of, tokenised
from toolkit.tasks.values import examples_of, scaled_examples_of

_SHOWN = 8
_LARGEST = float(np.finfo(np.float32).max)


def task_from_table(
    path: Path, shots: int, seed: int, reading: Reading, usual: Reading, on_note: Callable[[str], None]
) -> Task:
    """Support and query; classes in the order of their names, or of their numbers. Raises BadInput."""
    rows = read_rows(path)
    first = next(rows, None)
    if first is None:
        raise BadInput("has no rows", where=str(path), next="Give a header with label, then rows of two classes.")
    label, text = (next((name for name in names if name in first.cells), None) for names in (LABEL, TEXT))
    others = [name for name in first.cells if name != label]
    if label is None or not others:
        raise BadInput(
            f"has no column {'label or intent' if label is None else 'but ' + label} (it has {_listed(first.cells)})",
            where=str(path),
            next="Name the column of classes label, and that of texts text; without texts, all others are numbers.",
        )
    reading = reading if text is None else reading.or_usual(usual, ("tokenizer",))
    _require_tokenizer_for_texts(path, text, reading)
    value = partial(_numbers_of, path, others) if text is None else partial(_text_of, path, text)
    labels, values = zip(*((_label_of(path, label, row), value(row)) for row in chain([first], rows)), strict=True)
    if reading.tokenizer is None:
        x, made = np.stack(values), Preprocessing("numbers", reading.mean, reading.std, columns=tuple(others))
    else:
        x, made = _ids(values, reading.tokenizer, reading.tokens, on_note)
    classes = sorted(set(labels), key=int if all(map(_is_whole, labels)) else str)
    index = {name: position for position, name in enumerate(classes)}
    y = np.array([index[name] for name in labels])
    support, query = (
        scaled_examples_of(x, y, rows, reading, str(path)) if text is None else examples_of(x, y, rows, np.int64)
        for rows in draw_support(y, shots=shots, seed=seed, where=str(path), classes=classes)
    )
    return Task(path.stem, tuple(classes), support, query, preprocessing=made)


def _require_tokenizer_for_texts(path: Path, column: str | None, reading: Reading) -> None:
    if column is None:
        require_of_use(reading, ("mean", "std"), str(path), "a table of numbers")
        return
    require_of_use(reading, ("tokenizer", "tokens"), str(path), "a table of texts")
    if reading.tokenizer is None:
        raise BadInput(
            f"holds texts (column {column}), which a model takes as token ids",
            where=str(path),
            next="Give --tokenizer, the model's own: its folder, or its tokenizer.json.",
        )


def _ids(
    texts: Sequence[str], tokenizer: Path, most: int | None, on_note: Callable[[str], None]
) -> tuple[np.ndarray, Preprocessing]:
    made = tokenised(texts, tokenizer, most or MOST_TOKENS)
    ids = made.ids
    cut = ": longer texts are cut there (task.tokens)" if ids.shape[1] == (most or MOST_TOKENS) else ""
    on_note(f"a text reaches the model as {ids.shape[1]} token ids{cut}")
    return ids, Preprocessing("texts", tokenizer=file_of(tokenizer), padding_id=made.padding_id)


def _label_of(path: Path, column: str, row: Row) -> str:
    value = row.cells.get(column)
    if isinstance(value, str | int) and str(value).strip():
        return str(value).strip()
    raise _wrong(path, row, column, "a name or a whole number")


def _text_of(path: Path, column: str, row: Row) -> str:
    value = row.cells.get(column)
    if isinstance(value, str) and value.strip():
        return value
    raise _wrong(path, row, column, "a text")


def _numbers_of(path: Path, columns: Sequence[str], row: Row) -> np.ndarray:
    try:
        numbers = np.array([float(row.cells[name]) for name in columns])
    except (ValueError, TypeError, KeyError, OverflowError):
        numbers = np.array([np.nan])
    if (np.abs(numbers) <= _LARGEST).all():
        return numbers.astype(np.float32)
    at_fault = (name for name in columns if not _is_number(row.cells.get(name)))
    raise _wrong(path, row, next(at_fault), "a number")


def _is_number(cell: object) -> bool:
    try:
        return abs(float(cell)) <= _LARGEST  # type: ignore[arg-type]
    except (ValueError, TypeError, OverflowError):
        return False


def _is_whole(label: str) -> bool:
    return label.isascii() and label.removeprefix("-").isdecimal() and len(label) < 19


def _wrong(path: Path, row: Row, column: str, wanted: str) -> BadInput:
    said = repr(row.cells.get(column))
    shown = said if len(said) < 40 else f"{said[:37]}..."
    return BadInput(
        f"line {row.line}: {column} is {shown}, not {wanted}",
        where=str(path),
        next="Mend the row or remove it; columns besides label are numbers, or one of them is called text.",
    )


def _listed(columns: Sequence[str] | dict[str, object]) -> str:
    names = list(columns)
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
