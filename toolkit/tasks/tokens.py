"""Texts become token ids."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.errors import BadInput, first_line
from toolkit.quiet import quiet

# Of a text, where nobody says more or fewer.
MOST_TOKENS = 128


def token_ids(texts: Sequence[str], tokenizer: Path, most: int) -> np.ndarray:
    """(N, T) int64; T is the longest text's number of tokens, at most `most`.

    Longer texts are cut, shorter ones end in the tokenizer's padding. `tokenizer` is a `tokenizer.json`, or a folder
    that `transformers` reads; nothing is downloaded. Raises BadInput.
    """
    if not tokenizer.exists():
        raise BadInput("there is no such file or folder", where=f"--tokenizer {tokenizer}", next=_NAME_ONE)
    try:
        with quiet():
            encode = _folder(tokenizer, most) if tokenizer.is_dir() else _file(tokenizer, most)
            return np.array(encode(list(texts)), np.int64)
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


def _folder(folder: Path, most: int) -> _Encode:
    from transformers import AutoTokenizer

    found = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    if found.pad_token_id is None:
        found.pad_token = found.eos_token
    if found.pad_token_id is None:
        raise _without_padding(folder)
    return lambda texts: found(texts, truncation=True, max_length=most, padding=True)["input_ids"]


def _file(file: Path, most: int) -> _Encode:
    from tokenizers import Tokenizer

    found = Tokenizer.from_file(str(file))
    names = (found.padding or {}).get("pad_token"), "[PAD]", "<pad>"
    known = [name for name in names if name is not None and found.token_to_id(name) is not None]
    if not known:
        raise _without_padding(file)
    found.enable_padding(pad_id=found.token_to_id(known[0]), pad_token=known[0])
    found.enable_truncation(most)
    return lambda texts: [each.ids for each in found.encode_batch(texts)]


def _without_padding(tokenizer: Path) -> BadInput:
    return BadInput(
        "has no token for padding",
        where=f"--tokenizer {tokenizer}",
        next="Give it the one that the model learned with (pad_token), and save it again.",
    )
