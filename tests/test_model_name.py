"""What may be said beside a model's name, by what the name is."""

from pathlib import Path

import pytest

from toolkit.errors import BadInput
from toolkit.model_name import NamedModel, is_exported, is_hugging_face, require_model_options


def test_names_tell_what_they_are() -> None:
    assert [is_exported(name) for name in ("a/b.pt2", "hf:a", "mine:model?file=b.pt")] == [True, False, False]
    assert [is_hugging_face(name) for name in ("a/b.pt2", "hf:a", "hfs:model")] == [False, True, False]


def test_options_that_say_something_are_let_through(tmp_path: Path) -> None:
    (tmp_path / "w.pt").touch()
    require_model_options(NamedModel("mine:model", weights=tmp_path / "w.pt"))
    require_model_options(NamedModel("hf:a", hf_task="text-classification", trust_remote_code=True))


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (NamedModel("hf:a", weights=Path("w.pt")), "--weights w.pt has no effect on hf:a"),
        (NamedModel("a.pt2", weights=Path("w.pt")), "--weights w.pt has no effect on a.pt2"),
        (NamedModel("mine:model", weights=Path("w.pt")), "--weights w.pt: there is no such file"),
        (NamedModel("mine:model", hf_task="text-classification"), "--hf-task has no effect on mine:model"),
        (NamedModel("a.pt2", trust_remote_code=True), "--trust-remote-code has no effect on a.pt2"),
    ],
)
def test_an_option_without_effect_is_refused(
    named: NamedModel, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput) as caught:
        require_model_options(named)
    assert str(caught.value).startswith(said)
