"""The allocation table says at a glance which layers leave fp32, which stay, and why."""

from typing import Any

from tests.report import sample
from toolkit.deployment import Alternative, Deployment, LayerChoice
from toolkit.report.tables import allocation_table, model_table


def _layer(name: str, precision: str, ms: float, nats: float, **changes: Any) -> LayerChoice:
    fields = {"precision": precision, "predicted_ms": ms, "dense_ms": 0.2, "loss_nats": nats, **changes}
    return sample.layer(name, None, 64, 1.0).model_copy(update=fields)


def _other(precision: str, ms: float, nats: float | None) -> dict[str, Alternative]:
    return {"alternative": Alternative(precision=precision, predicted_ms=ms, loss_nats=nats)}  # type: ignore[arg-type]


def _mixed() -> Deployment:
    layers = (
        _layer("rounded", "int8", 0.08, 0.003, **_other("fp32", 0.2, 0.0)),
        _layer("sensitive", "fp32", 0.2, 0.0, **_other("int8", 0.15, 0.4)),
        _layer("slow", "fp32", 0.2, 0.0, **_other("int8", 0.25, 0.001)),
        _layer("unable", "fp32", 0.2, 0.0, unable=True),
        _layer("fits", "int8", 0.08, 0.0, **_other("fp32", 0.2, None)),
    )
    return sample.deployment(allocation=layers)


def _why() -> dict[str, str]:
    table = allocation_table(_mixed())
    assert table.head[-1] == "Why this precision"
    return {row[0]: row[-1] for row in table.rows}


def test_a_layer_that_left_fp32_says_what_that_gains_and_costs() -> None:
    assert _why()["rounded"] == "0.12 ms less than in fp32, for 0.003 nats"
    assert _why()["fits"] == "0.12 ms less than in fp32"  # nothing was weighed


def test_a_layer_that_stayed_says_whether_for_its_loss_for_no_gain_or_for_its_runtime() -> None:
    assert _why()["sensitive"] == "int8 takes 0.05 ms less, but loses 0.4 nats"
    assert _why()["slow"] == "no gain: int8 takes 0.05 ms more"
    assert _why()["unable"] == "the runtime has nothing else for it"


def test_milliseconds_gained_stand_beside_the_loss_paid() -> None:
    table = allocation_table(_mixed())
    row = dict(zip(table.head, table.rows[0], strict=True))
    assert (row["Gained"], row["Loss paid, nats"]) == ("0.12 ms", "0.003")
    assert "2 of 5 layers leave fp32" in table.caption


def test_where_there_is_one_precision_no_reason_is_given() -> None:
    table = allocation_table(sample.deployment())
    assert "Why this precision" not in table.head
    assert "leave fp32" not in table.caption
    assert all(len(row) == len(table.head) for row in table.rows)


def test_the_share_that_ran_delegated_is_told() -> None:
    rows = {row[0]: row[1] for row in model_table(sample.deployment()).rows}  # 38 of 41 nodes
    assert rows["… run by the accelerated backend"] == "38 (92.7 %)"
    assert rows["… fallen back"] == "3 (7.3 %)"
