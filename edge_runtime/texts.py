"""Texts as an application has them become the token ids that a network takes, as the host made them of the task's."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .errors import EdgeRuntimeError


@dataclass(frozen=True)
class Tokenizer:
    """A release's tokenizer: read as the first text comes, for most applications of most releases give none.

    A text becomes `length` ids; a shorter one ends in `padding_id`. `sha256` is what the manifest says of `file`.
    """

    file: str
    sha256: str
    padding_id: int
    length: int
    said = "a text"

    def given(self, value: Any) -> tuple[list[str], bool] | None:
        """As `texts_in`."""
        return texts_in(value)

    def rows(self, texts: Sequence[str]) -> np.ndarray:
        """(N, length) int64. Raises EdgeRuntimeError."""
        ids, encoder = np.full((len(texts), self.length), self.padding_id, np.int64), self._encoder
        for row, text in zip(ids, texts):
            try:
                # One by one: `encode_batch` starts threads of its own, which an application that forks is warned of.
                found = encoder.encode(text).ids
            except Exception as error:  # of half a surrogate pair, for one
                raise EdgeRuntimeError(
                    f"the tokenizer cannot take that: {str(error)[:300]}",
                    where=f"model({text[:20]!r})",
                    next="Give text that can be written as UTF-8.",
                ) from None
            row[: len(found)] = found
        return ids

    @cached_property
    def _encoder(self) -> Any:
        try:
            from tokenizers import Tokenizer as Encoder
        except ImportError as error:
            raise EdgeRuntimeError(
                f"texts become token ids by the package tokenizers, which cannot be imported here: {error}",
                where=self.file,
                next="Deploy the release again, which brings it; or pip install tokenizers; or give token ids.",
            ) from None
        try:
            with open(self.file, "rb") as file:
                text = file.read()
        except OSError:
            text = b""
        if hashlib.sha256(text).hexdigest() != self.sha256:
            raise EdgeRuntimeError(
                "the release's tokenizer is missing or damaged",
                where=self.file,
                next="Deploy it again, or go back: deploy rollback --target NAME.",
            )
        try:
            encoder = Encoder.from_str(text.decode())
            encoder.no_padding()
            encoder.enable_truncation(self.length)
        except Exception as error:  # a package that is older than the file raises what it likes
            raise EdgeRuntimeError(
                f"the package tokenizers that is imported here cannot read it: {str(error)[:300]}",
                where=self.file,
                next="Use the one that deploy put on the board, or a newer one: pip install --upgrade tokenizers.",
            ) from None
        return encoder


def tokenizer_of(manifest: Mapping[str, Any], folder: str) -> Tokenizer | None:
    """That of a release in `folder`; None where its task held no texts, or its tokenizer is of no such form."""
    made, ports = manifest.get("preprocessing") or {}, manifest["inputs"]
    if made.get("kind") != "texts" or "tokenizer" not in made or "padding_id" not in made or len(ports) != 1:
        return None
    name = made["tokenizer"]
    sha256 = manifest["files"][name]["sha256"]
    return Tokenizer(os.path.join(folder, name), sha256, made["padding_id"], ports[0]["shape"][-1])


def texts_in(value: Any) -> tuple[list[str], bool] | None:
    """The texts that were given, and whether it was one alone; None where it was something else."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "UO":
        value = value.tolist()
    if isinstance(value, str):
        return [value], True
    if isinstance(value, (list, tuple)) and value and all(isinstance(each, str) for each in value):
        return list(value), False
    return None
