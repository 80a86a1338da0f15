"""A small tokenizer, and a working folder that has deployed a release of texts to this machine."""

import csv
from pathlib import Path

import pytest
from workplace import FEW_STEPS, ONLY_RANKS, ROOMY, Workplace, make_workplace

_WORDS = (
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    *"abcdefghijklmnopqrstuvwxyz",
    "rain",
    "snow",
    "sun",
    "sea",
    "today",
    "is",
)
_MODEL = """
import torch
from torch import nn

class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.mixed, self.head = nn.Embedding(64, 32), nn.Linear(32, 32), nn.Linear(32, 2)

    def forward(self, ids):
        real = (ids != 0).float()[..., None]
        return self.head((torch.relu(self.mixed(self.words(ids))) * real).sum(1) / real.sum(1))

def words():
    torch.manual_seed(0)
    return Words()
"""
_WET, _DRY = ("rain is {} today", "{} snow", "sea {} rain rain"), ("sun is {} today", "{} sun", "today {} sun sun")


def save_tokenizer(file: Path) -> Path:
    """Of single letters and a few words; it puts [CLS] before a text and [SEP] behind, and has lengths of its own."""
    tokenizers = pytest.importorskip("tokenizers", reason="tokenizers comes with the extra text")
    ids = {word: place for place, word in enumerate(_WORDS)}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(ids, unk_token="[UNK]"))
    made.normalizer = tokenizers.normalizers.Lowercase()
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    around = tokenizers.processors.BertProcessing(("[SEP]", ids["[SEP]"]), ("[CLS]", ids["[CLS]"]))
    made.post_processor = around
    made.enable_padding(length=16)  # as some files say it: what they say of lengths does not count
    made.enable_truncation(4)
    file.parent.mkdir(exist_ok=True)
    made.save(str(file))
    return file


def texts() -> tuple[list[str], list[str]]:
    """Twelve of each of two classes, and the names of these."""
    made = [
        (form.format(letter), label)
        for label, forms in (("dry", _DRY), ("wet", _WET))
        for form in forms
        for letter in "abcd"
    ]
    return [text for text, _ in made], [label for _, label in made]


def make_place_of_texts(folder: Path) -> Workplace:
    """`folder` is new; its board serves a release that was made of a table of texts."""
    folder.mkdir()
    place = make_workplace(folder)
    save_tokenizer(folder / "words" / "tokenizer.json")
    (folder / "my_package" / "texts.py").write_text(_MODEL)
    with (folder / "rows.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *zip(*texts(), strict=True)])
    what = (
        "--target",
        "desk",
        "--model",
        "my_package.texts:words",
        "--task",
        "rows.csv",
        "--tokenizer",
        "words/tokenizer.json",
    )
    done = place.deploy(*what, *ONLY_RANKS, *FEW_STEPS, *ROOMY, "--shots", "8")
    assert done.returncode == 0, done.stderr
    return place
