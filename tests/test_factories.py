"""A factory is found by its name, gets what it asks for, and is refused in one line where it cannot be called."""

from pathlib import Path

import pytest

from toolkit.errors import BadInput
from toolkit.factories import call_factory

_MODULE = """
def plain():
    return "made"

def some(shots, other=1):
    return shots, other

def everything(**options):
    return options

def needy(width):
    return width

def failing():
    raise RuntimeError("no weights\\nand more")

not_callable = 3
instance = "made"
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "my_factories.py").write_text(_MODULE)
    (tmp_path / "my_typo.py").write_text("def broken(:\n")
    (tmp_path / "my_needs.py").write_text("import a_package_nobody_has\n")
    (tmp_path / "my_raises.py").write_text("raise ValueError('no data')\n")
    (tmp_path / "my_exit.py").write_text("import sys\nsys.exit(2)\n")
    (tmp_path / "my_from.py").write_text("from my_factories import nothing_like_it\n")


def test_a_factory_gets_what_its_signature_names() -> None:
    assert call_factory("my_factories:plain", "task", str, shots=5, seed=0) == "made"
    assert call_factory("my_factories:some", "task", tuple, shots=5, seed=0) == (5, 1)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("", "names no factory"),
        ("my_factories", "names no factory"),
        (":plain", "names no factory"),
        ("my_factories:", "names no factory"),
        ("no_such_module:task", "no module named no_such_module"),
        ("my_factories.sub:task", "no module named my_factories.sub"),
        (".my_factories:plain", "names no factory"),
        ("my_factories:missing", "has no 'missing'"),
        ("my_factories:not_callable", "has no callable 'not_callable'"),
        ("my_factories:needy", "width"),
        ("my_factories:instance", "is a task, not a function that returns one"),
        ("my_factories:some", "wants shots"),
        ("my_factories:everything", "returned dict, not a task"),
        ("my_typo:broken", "cannot be imported"),
        ("my_needs:task", "needs the module a_package_nobody_has"),
        ("my_from:task", "nothing_like_it"),
        ("my_raises:task", "my_raises:task raised ValueError: no data ("),
        ("my_exit:task", "my_exit:task raised SystemExit: 2 ("),
        ("my_factories:failing", "my_factories:failing raised RuntimeError: no weights ("),
    ],
)
def test_what_cannot_be_called_is_refused(spec: str, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        call_factory(spec, "task", str)
    assert said in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 2


def test_an_error_inside_a_factory_says_where_and_is_kept() -> None:
    with pytest.raises(BadInput, match=r"my_factories\.py:15\)") as caught:
        call_factory("my_factories:failing", "task", str)
    assert isinstance(caught.value.__cause__, RuntimeError)
