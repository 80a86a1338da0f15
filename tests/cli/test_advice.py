"""What is advised fits what was missed."""

import pytest

from tests.report import sample
from toolkit.cli.advice import advice
from toolkit.deployment import Refusal


@pytest.mark.parametrize(
    ("missed", "latency", "said"),
    [
        (("outputs",), {}, "No budget mends that"),
        (("outputs", "latency"), {"p95": 0.9}, "No budget mends that"),
        (("latency",), {"median": 0.3, "p95": 0.9}, "something else had the processor"),
        (("latency",), {"median": 0.48, "p95": 0.55}, "Raise the budget"),
        (("latency",), {"median": 0.6, "p95": 0.9}, "Raise the budget"),
        (("accuracy",), {}, "lower --min-accuracy"),
        (("latency", "accuracy"), {"median": 0.3, "p95": 0.9}, "lower --min-accuracy"),
        (("outputs", "accuracy"), {}, "No budget mends that"),
        (("memory", "size"), {}, "Raise the budget"),
        (("latency", "memory"), {"median": 0.3, "p95": 0.9, "source": "65% of the dense"}, "Raise the budget"),
    ],
)
def test_what_is_advised_fits_what_was_missed(
    missed: tuple[str, ...], latency: dict[str, float | str], said: str
) -> None:
    given = {"budget": 0.5, "source": "--latency"} | latency
    refusals = tuple(Refusal.model_validate({"missed": each, "reason": "too much"}) for each in missed)
    assert said in advice(sample.deployment(latency_ms=sample.latency(**given), refusals=refusals, active=False))


def test_of_a_network_in_fp16_the_precision_is_doubted_first() -> None:
    refusals = (Refusal(missed="outputs", reason="inf"),)
    layers = (sample.layer("a", None, 8, 1.0), sample.layer("b", None, 8, 1.0).model_copy(update={"precision": "fp16"}))
    assert "--precision int8 or fp32" in advice(sample.deployment(allocation=layers, refusals=refusals, active=False))
