"""Texts become token ids."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.errors import BadInput, first_line
from toolkit.preprocessing import TOKENIZER
from toolkit.quiet import quiet

# Of a text, where nobody says more or fewer.
MOST_TOKENS = 128


@dataclass(frozen=True)
class Tokens:
    """`ids` (N, T) int64, and the one of them that shorter texts end in."""

    ids: np.ndarray
    padding_id: int


def tokenised(texts: Sequence[str], tokenizer: Path, most: int) -> Tokens:
    """T is the longest text's number of tokens, at most `most`.

    Longer texts are cut, shorter ones end in the tokenizer's padding. `tokenizer` is a `tokenizer.json`, or a folder
    that `transformers` reads; nothing is downloaded. Raises BadInput.
    """
    if not tokenizer.exists():
        raise BadInput("there is no such file or folder", where=f"--tokenizer {tokenizer}", next=_NAME_ONE)
    try:
        with quiet():
            encode, padding_id = _folder(tokenizer, most) if tokenizer.is_dir() else _file(tokenizer, most)
            return Tokens(np.array(encode(list(texts)), np.int64), padding_id)
    except BadInput:
        raise
    except ImportError as error:
        raise BadInput(
            f"needs the package {error.name}",
            where=f"--tokenizer {tokenizer}",
            next="In the checkout: .venv/bin/pip install -c constraints.txt -e '.[text]'.",
        ) from None
    except Exception as error:  # both libraries raise what they like on files that are none of theirs
        raise BadInput(
            f"is no tokenizer: {first_line(error)}", where=f"--tokenizer {tokenizer}", next=_NAME_ONE
        ) from None


_NAME_ONE = "Name a tokenizer.json, or the folder into which save_pretrained wrote the model's tokenizer."
_Encode = Callable[[list[str]], Any]


def file_of(tokenizer: Path) -> Path | None:
    """What alone makes the same ids with the package `tokenizers`; None of an old one that has no such file."""
    file = tokenizer / TOKENIZER if tokenizer.is_dir() else tokenizer
    return file if file.is_file() else None


def ids_of_length(texts: Sequence[str], file: Path, padding_id: int, length: int) -> np.ndarray:
    """(N, length) int64, by a `tokenizer.json` and what it was padded with before. Raises BadInput."""
    try:
        from tokenizers import Tokenizer

        found = Tokenizer.from_file(str(file))
    except ImportError:
        raise BadInput(
            "needs the package tokenizers",
            where=str(file),
            next="In the checkout: .venv/bin/pip install -c constraints.txt -e '.[text]'.",
        ) from None
    found.no_padding()
    found.enable_truncation(length)
    ids = np.full((len(texts), length), padding_id, np.int64)
    for row, each in zip(ids, found.encode_batch(list(texts)), strict=True):
        row[: len(each.ids)] = each.ids
    return ids


def _folder(folder: Path, most: int) -> tuple[_Encode, int]:
    from transformers import AutoTokenizer

    found = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    if found.pad_token_id is None:
        found.pad_token = found.eos_token
    if found.pad_token_id is None:
        raise _without_padding(folder)
    found.padding_side = found.truncation_side = "right"  # as a file does: a causal network sees no padding then
    settings = {"truncation": True, "max_length": most, "padding": True}
    return (lambda texts: found(texts, **settings)["input_ids"]), int(found.pad_token_id)


def _file(file: Path, most: int) -> tuple[_Encode, int]:
    from tokenizers import Tokenizer

    found = Tokenizer.from_file(str(file))
    names = (found.padding or {}).get("pad_token"), "[PAD]", "<pad>"
    ids = {name: found.token_to_id(name) for name in names if name is not None}
    known = [(name, padding_id) for name, padding_id in ids.items() if padding_id is not None]
    if not known:
        raise _without_padding(file)
    name, padding_id = known[0]
    found.enable_padding(pad_id=padding_id, pad_token=name)
    found.enable_truncation(most)
    return (lambda texts: [each.ids for each in found.encode_batch(texts)]), padding_id


def _without_padding(tokenizer: Path) -> BadInput:
    return BadInput(
        "has no token for padding",
        where=f"--tokenizer {tokenizer}",
        next="Give it the one that the model learned with (pad_token), and save it again.",
    )
