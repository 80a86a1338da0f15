"""Texts become ids by the user's own tokenizer, or the user hears why not."""

import json
from pathlib import Path

import pytest

from toolkit.errors import BadInput
from toolkit.tasks.tokens import file_of, ids_of_length, tokenised

tokenizers = pytest.importorskip("tokenizers", reason="tokenizers comes with the extra text")

_TEXTS = ["rain", "rain sun rain"]


def _save(file: Path, padding: str) -> Path:
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({"rain": 0, "sun": 1, padding: 2, "?": 3}, unk_token="?"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    file.parent.mkdir(exist_ok=True)
    made.save(str(file))
    return file


def test_a_file_pads_by_the_token_that_it_has(tmp_path: Path) -> None:
    for padding in ("[PAD]", "<pad>"):
        made = tokenised(_TEXTS, file := _save(tmp_path / "tokenizer.json", padding), 8)
        assert (made.ids.tolist(), made.padding_id) == ([[0, 2, 2], [0, 1, 0]], 2)
        assert ids_of_length(_TEXTS, file, 2, 3).tolist() == made.ids.tolist()
        assert ids_of_length(_TEXTS, file, 2, 2).tolist() == [[0, 2], [0, 1]]
    assert tokenised(_TEXTS, tmp_path / "tokenizer.json", 2).ids.tolist() == [[0, 2], [0, 1]]


@pytest.mark.parametrize("named", ["pad_token", "eos_token"])
def test_a_folder_pads_by_the_token_that_it_names(tmp_path: Path, named: str) -> None:
    pytest.importorskip("transformers", reason="transformers comes with the extra text")
    _save(tmp_path / "mine" / "tokenizer.json", "over")
    said = {"tokenizer_class": "PreTrainedTokenizerFast", named: "over", "unk_token": "?", "padding_side": "left"}
    (tmp_path / "mine" / "tokenizer_config.json").write_text(json.dumps(said))
    made = tokenised(_TEXTS, tmp_path / "mine", 8)
    assert (made.ids.tolist(), made.padding_id) == ([[0, 2, 2], [0, 1, 0]], 2)
    assert file_of(tmp_path / "mine") == tmp_path / "mine" / "tokenizer.json"


def test_what_is_no_tokenizer_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "no.json").write_text("{}")
    unpadded = _save(tmp_path / "unpadded.json", "other")
    for path, said in (
        (tmp_path / "nowhere", "there is no such file or folder"),
        (tmp_path / "empty", "is no tokenizer"),
        (tmp_path / "no.json", "is no tokenizer"),
        (unpadded, "has no token for padding"),
    ):
        with pytest.raises(BadInput) as caught:
            tokenised(_TEXTS, path, 8)
        assert said in caught.value.what
        assert caught.value.where == f"--tokenizer {path}"
        assert len(str(caught.value).splitlines()) == 2
