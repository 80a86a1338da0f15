"""An error reads as a sentence about what it names."""

import pytest

from toolkit.errors import BadInput


@pytest.mark.parametrize(
    ("what", "where", "sentence"),
    [
        ("has no array y", "task.npz", "task.npz has no array y"),
        ("cannot be read: permission denied", "a.toml", "a.toml cannot be read: permission denied"),
        ("cannot sign: no key", "release.sign=key", "release.sign=key: cannot sign: no key"),
        ("no allocation fits", "budget", "budget: no allocation fits"),
        ("'64' has no unit", None, "'64' has no unit"),
    ],
)
def test_the_place_is_the_subject_of_a_predicate(what: str, where: str | None, sentence: str) -> None:
    error = BadInput(what, where=where, next="Mend it.")
    assert error.sentence == sentence
    assert str(error) == f"{sentence}\nMend it."
