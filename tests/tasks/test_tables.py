"""Tables of texts or of numbers become tasks; what is wrong with one is said with its line."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from toolkit.errors import BadInput
from toolkit.inputs import join
from toolkit.reading import AS_IT_IS, Reading
from toolkit.tasks import Task, load_task

_VOCABULARY = {"[PAD]": 0, "[UNK]": 1, "rain": 2, "sun": 3, "song": 4}


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    """Words apart by blanks, of a vocabulary of five."""
    tokenizers = pytest.importorskip("tokenizers", reason="tokenizers comes with the extra text")
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(_VOCABULARY, unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.save(str(tmp_path / "tokenizer.json"))
    return tmp_path / "tokenizer.json"


def _csv(file: Path, rows: Sequence[Sequence[object]]) -> Path:
    with file.open("w", encoding="utf-8", newline="") as opened:
        csv.writer(opened).writerows(rows)
    return file


def _jsonl(file: Path, rows: Sequence[object]) -> Path:
    file.write_text("\n\n".join(map(json.dumps, rows)), encoding="utf-8")
    return file


def _read(file: Path, reading: Reading = AS_IT_IS, shots: int = 1) -> Task:
    return load_task(str(file), shots=shots, seed=0, reading=reading)


def _refusal(file: Path, reading: Reading = AS_IT_IS) -> str:
    with pytest.raises(BadInput) as caught:
        _read(file, reading)
    assert len(str(caught.value).splitlines()) == 2
    assert str(file) in str(caught.value) or reading != AS_IT_IS
    return str(caught.value)


_SAID = [("rain rain", "weather"), ("sun", "weather"), ("a song", "music"), ("song song song", "music")]


def test_texts_become_padded_token_ids(tmp_path: Path, tokenizer: Path) -> None:
    table = _csv(tmp_path / "say.csv", [("id", "text", "label"), *((i, *row) for i, row in enumerate(_SAID))])
    lines = _jsonl(tmp_path / "say.jsonl", [{"sentence": text, "intent": label} for text, label in _SAID])
    for source in (table, lines):
        task = _read(source, Reading(tokenizer=tokenizer))
        assert (task.name, task.classes) == ("say", ("music", "weather"))
        assert (task.query.x.tensors["x"].dtype, task.query.x.tensors["x"].shape) == (torch.int64, (2, 3))
        rows = join([task.support.x, task.query.x]).tensors["x"].int().tolist()
        assert sorted(rows) == [[1, 4, 0], [2, 2, 0], [3, 0, 0], [4, 4, 4]]
        labels = torch.cat([task.support.y, task.query.y]).tolist()
        assert [label for row, label in zip(rows, labels, strict=True) if 4 in row] == [0, 0]


def test_long_texts_are_cut(tmp_path: Path, tokenizer: Path) -> None:
    rows = [("text", "label"), *((" ".join(["rain"] * 500), name) for name in "aabb")]
    file, notes = _csv(tmp_path / "say.csv", rows), []
    for tokens, length in ((None, 128), (2, 2), (1000, 500)):
        reading = Reading(tokenizer=tokenizer, tokens=tokens)
        task = load_task(str(file), shots=1, seed=0, reading=reading, on_note=notes.append)
        assert task.query.x.tensors["x"].shape == (2, length)
    assert ["task.tokens" in note for note in notes] == [True, True, False]


def test_numbers_are_what_they_are_and_classes_in_their_order(tmp_path: Path) -> None:
    rows = [("width", "label", "height"), *((each, label, each / 2) for label in (10, 9, 2) for each in (1, -2.5))]
    task = _read(_csv(tmp_path / "a.csv", rows))
    assert task.classes == ("2", "9", "10")
    x = join([task.support.x, task.query.x]).tensors["x"]
    assert sorted(x.tolist()) == [[-2.5, -1.25]] * 3 + [[1.0, 0.5]] * 3
    task = _read(tmp_path / "a.csv", Reading(mean=(1.0, 0.0), std=(2.0,)))
    assert (
        sorted(join([task.support.x, task.query.x]).tensors["x"].tolist()) == [[-1.75, -0.625]] * 3 + [[0.0, 0.25]] * 3
    )


def test_numbers_may_be_lines_of_json(tmp_path: Path) -> None:
    file = _jsonl(tmp_path / "a.jsonl", [{"label": label, "a": 1, "b": 2.5} for label in "xxyy"])
    assert _read(file).query.x.tensors["x"].tolist() == [[1.0, 2.5]] * 2


def test_a_mark_of_byte_order_and_blank_lines_are_no_content(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes("\ufefflabel,a\r\nx,1\r\n\r\nx,2\r\ny,3\r\ny,4\r\n".encode())
    assert _read(file).classes == ("x", "y")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "has no rows"),
        (b"text,label\n", "has no rows"),
        (b"\n\n", "has no rows"),
        (b"5,0,1\n4,0,1\n", "has no column label or intent (it has 5, 0, 1)"),
        (b"5,0,0\n4,0,1\n", "its header, line 1, has two columns 0"),
        (b"text;label\nhello;a\n", "has no column label or intent (it has text;label)"),
        (b"text,class\nhello,a\n", "(it has text, class)"),
        (b"label\na\nb\n", "has no column but label"),
        (b",a,label\n0,1,x\n", "its header, line 1, has no name for column 1"),
        (b"a,a,label\n0,1,x\n", "its header, line 1, has two columns a"),
        (b"a,label\n1,x\n2\n", "line 3 has not the 2 columns"),
        (b"a,label\n1,x\n2,y,z\n", "line 3 has not the 2 columns"),
        (b"a,label\n1,x\nnan,x\n", "line 3: a is 'nan', not a number"),
        (b"a,label\n1,x\n1e99,x\n", "line 3: a is '1e99', not a number"),
        (b"a,label\n1,x\n,x\n", "line 3: a is '', not a number"),
        (b"utterance,label\nhello there,x\n", "line 2: utterance is 'hello there', not a number"),
        (b"a,label\n1,x\n2, \n", "line 3: label is '', not a name"),
        (b"a,label\n1,x\n2,x\n", "at least two are needed"),
        (b"a,label\n1,x\n2,y\n", "class x has 1 example(s)"),
        (b"a,label\n1,x\n2,\xff\n", "is no UTF-8 text: byte 0xff"),
        (b'a,label\n1,x\n"2,y\n', "cannot be read after line 2"),
        (b"a,label\n1," + b"x" * 200_000 + b"\n", "field larger than field limit"),
        (b"a,label\n\0,x\n", "not a number"),
    ],
)
def test_what_is_wrong_with_a_csv_is_said(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    assert said in _refusal(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([{"a": 1, "label": "x"}, [1]], "line 3 is no object"),
        ([{"a": 1, "label": "x"}, {"label": "x"}], "line 3: a is None, not a number"),
        ([{"a": 1, "label": "x"}, {"a": [1], "label": "x"}], "line 3: a is [1], not a number"),
        ([{"a": 1, "label": "x"}, {"a": 1, "label": 1.5}], "line 3: label is 1.5, not a name"),
        ([{"a": 10**400, "label": "x"}], "not a number"),
    ],
)
def test_what_is_wrong_with_lines_of_json_is_said(tmp_path: Path, lines: list[Any], said: str) -> None:
    assert said in _refusal(_jsonl(tmp_path / "a.jsonl", lines))


def test_text_that_is_no_json_is_said_with_the_line_before(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"a": 1, "label": "x"}\n{"a": ', encoding="utf-8")
    assert "cannot be read after line 1" in _refusal(tmp_path / "a.jsonl")
    (tmp_path / "a.jsonl").write_text("[" * 100_000, encoding="utf-8")
    assert "cannot be read after line 0" in _refusal(tmp_path / "a.jsonl")


def test_texts_want_a_tokenizer_and_numbers_do_not(tmp_path: Path, tokenizer: Path) -> None:
    texts = _csv(tmp_path / "say.csv", [("text", "label"), *_SAID])
    assert "Give --tokenizer" in _refusal(texts)
    numbers = _csv(tmp_path / "a.csv", [("a", "label"), (1, "x")])
    assert "--tokenizer has no effect on" in _refusal(numbers, Reading(tokenizer=tokenizer))
    empty = _csv(tmp_path / "b.csv", [("text", "label"), (" ", "x")])
    assert "line 2: text is '', not a text" in _refusal(empty, Reading(tokenizer=tokenizer))
