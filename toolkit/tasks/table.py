"""Rows of a `.csv` with a header, or of a `.jsonl`, one at a time: a table of numbers may be larger than it looks."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.errors import BadInput, first_line

TABLES = (".csv", ".jsonl")
# What columns are called: the first that there is.
TEXT, LABEL = ("text", "sentence"), ("label", "intent")


@dataclass(frozen=True)
class Row:
    """Cells by column; `line` is where the row ends in the file, counted from one."""

    line: int
    cells: dict[str, Any]


def read_rows(path: Path) -> Iterator[Row]:
    """Every row that is not blank; cells of a `.csv` are text. Raises BadInput that names the line."""
    line = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for row in _csv_rows(file) if path.suffix.lower() == ".csv" else _json_rows(file):
                line = row.line
                yield row
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", where=str(path), next="Name a file of text.") from None
    except UnicodeDecodeError as error:
        what = f"is no UTF-8 text: byte 0x{error.object[error.start]:02x} after line {line}"
        raise BadInput(what, where=str(path), next="Save it as UTF-8.") from None
    except (csv.Error, ValueError, RecursionError) as error:
        raise BadInput(
            f"cannot be read after line {line}: {first_line(error)}", where=str(path), next="Mend that line."
        ) from None


def _csv_rows(file: Any) -> Iterator[Row]:
    reader = csv.DictReader(file, skipinitialspace=True, strict=True)
    columns = reader.fieldnames or ()
    if "" in columns:
        raise ValueError(
            f"its header, line 1, has no name for column {list(columns).index('') + 1} (pandas: to_csv(index=False))"
        )
    if twice := [name for name in columns if list(columns).count(name) > 1]:
        raise ValueError(f"its header, line 1, has two columns {twice[0]}")
    for cells in reader:
        if None in cells or None in cells.values():  # of cells without a column, and of columns without a cell
            raise ValueError(f"line {reader.line_num} has not the {len(columns)} columns of the header")
        yield Row(reader.line_num, cells)


def _json_rows(file: Any) -> Iterator[Row]:
    for line, text in enumerate(file, 1):
        if not text.strip():
            continue
        cells = json.loads(text)
        if not isinstance(cells, dict):
            raise ValueError(f"line {line} is no object")
        yield Row(line, cells)
