"""Baselines as files: what is kept, for which circumstances it counts, and what damage is said to be."""

import json
from pathlib import Path

import pytest
from testing.made import counted_samples, wall_samples

from toolkit.errors import BadInput
from toolkit.testing.baselines import baseline_path, others, read_baseline, write_baseline


def test_a_baseline_is_read_as_it_was_written(tmp_path: Path) -> None:
    samples = wall_samples(1.0, 0)
    path = baseline_path(tmp_path, "small", samples)
    write_baseline(path, "small", samples)
    assert path.parent == tmp_path / "desk"
    assert read_baseline(path).samples == samples
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    "change",
    [
        {"target": "rack"},
        {"device": {"machine": "x86_64"}},
        {"runtime": "executorch"},
        {"runtime_version": "1.32.0"},
        {"threads": 2},
        {"reference": "another workload"},
    ],
)
def test_it_counts_for_its_circumstances_only(tmp_path: Path, change: dict[str, object]) -> None:
    samples = wall_samples(1.0, 0)
    path = baseline_path(tmp_path, "small", samples)
    write_baseline(path, "small", samples)
    elsewhere = baseline_path(tmp_path, "small", samples.model_copy(update=change))
    assert not elsewhere.exists()
    assert others(elsewhere, "small") == ([] if "target" in change else [path.name])


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda text: text[: len(text) // 2], "Invalid JSON"),
        (lambda text: "", "Invalid JSON"),
        (lambda text: text.replace('"schema_version": 1', '"schema_version": 2'), "schema_version"),
        (lambda text: json.dumps(_with(text, release_ms=[1.0] * 9 + [0.0])), "samples.release_ms.9"),
        (lambda text: json.dumps(_with(text, release_ms=[1.0] * 9 + [-1.0])), "samples.release_ms.9"),
        (lambda text: json.dumps(_with(text, release_ms=[1.0] * 9)), "10 rounds of the reference, 9 expected"),
        (lambda text: json.dumps(_with(text, release_ms=[])), "samples.release_ms"),
        (lambda text: json.dumps(_with(text, runtime_version="1.30.0")), "does not hold what its name says"),
    ],
)
def test_what_is_damaged_is_refused_with_a_sentence(tmp_path: Path, damage, said: str) -> None:  # type: ignore[no-untyped-def]
    path = baseline_path(tmp_path, "small", wall_samples(1.0, 0))
    write_baseline(path, "small", wall_samples(1.0, 0))
    path.write_text(damage(path.read_text()))
    with pytest.raises(BadInput, match=said) as caught:
        read_baseline(path)
    assert caught.value.where == str(path)
    assert "--update-baselines" in str(caught.value.next)
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize("name", ["", "../small", "a b", ".hidden", "a/b"])
def test_a_name_that_is_no_files_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match="cannot name a regression"):
        baseline_path(tmp_path, name, counted_samples(1.0, 0))


def _with(text: str, **changes: object) -> dict[str, object]:
    found = json.loads(text)
    found["samples"] |= changes
    return found
