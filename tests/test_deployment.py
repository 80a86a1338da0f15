"""A result survives its file, the schema in the package is current, and what is no result is refused."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.report import sample
from toolkit.deployment import CurvePoint, load_deployment, save_deployment
from toolkit.errors import BadInput
from toolkit.schema import SCHEMA_FILE, result_schema


def test_schema_in_the_package_is_current() -> None:
    assert SCHEMA_FILE.read_text(encoding="utf-8") == result_schema(), "run `python -m toolkit.schema`"


def test_schema_names_every_field_of_a_result() -> None:
    properties = json.loads(result_schema())["properties"]
    assert set(json.loads(sample.deployment().model_dump_json())) == set(properties)


@pytest.mark.parametrize("make", [sample.deployment, sample.plan])
def test_result_round_trips(make, tmp_path: Path) -> None:
    deployment, path = make(), tmp_path / "result.json"
    save_deployment(deployment, path)
    assert load_deployment(path) == deployment


@given(
    text=st.text(),
    value=st.floats(allow_nan=False),
    facts=st.dictionaries(st.text(), st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text()),
)
def test_any_names_and_numbers_round_trip(
    text: str, value: float, facts: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> None:
    curve = (CurvePoint(step=1, loss=value, accuracy=0.5),)
    deployment = sample.deployment(
        task=text, classes=(text, "b"), device_facts=facts, adaptation=sample.adaptation(curve=curve)
    )
    path = tmp_path_factory.getbasetemp() / "result.json"
    save_deployment(deployment, path)
    assert load_deployment(path) == deployment


def test_a_diverged_loss_can_be_read_again(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    save_deployment(sample.deployment(adaptation=sample.adaptation(training_loss=(0.7, math.nan))), path)
    adaptation = load_deployment(path).adaptation
    assert adaptation is not None
    assert math.isnan(adaptation.training_loss[1])


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[1, 2]", b"not json", b"\xff\xfe", b"[" * 100_000, b'{"schema_version": 1}'],
    ids=["empty", "no fields", "a list", "not json", "not UTF-8", "deep", "another version"],
)
def test_what_is_no_result_is_refused_in_two_lines(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_bytes(content)
    with pytest.raises(BadInput) as caught:
        load_deployment(path)
    assert caught.value.where == str(path)
    assert len(str(caught.value).splitlines()) <= 2


def test_a_field_too_many_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    save_deployment(sample.deployment(), path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"surprise": 1}))
    with pytest.raises(BadInput):
        load_deployment(path)


@pytest.mark.parametrize("place", ["missing.json", "."])
def test_what_cannot_be_read_is_refused_with_its_place(place: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read") as caught:
        load_deployment(tmp_path / place)
    assert caught.value.where == str(tmp_path / place)
