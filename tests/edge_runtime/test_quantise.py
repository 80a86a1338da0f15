"""What fills an int8 hole: steps of one size a channel, that give back the weight to half a step."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edge_runtime.quantise import quantise
from edge_runtime.release import fill_holes

_TINY = np.finfo(np.float32).tiny


@given(
    hnp.arrays(
        np.float32,
        st.one_of(hnp.array_shapes(min_dims=2, max_dims=2), hnp.array_shapes(min_dims=4, max_dims=4)),
        elements=st.floats(-1e6, 1e6, width=32),
    )
)
def test_every_value_comes_back_to_half_a_step_of_its_channel(weight: np.ndarray) -> None:
    filled = quantise("hole", weight)
    steps, scale = filled["hole.quantised"], filled["hole.scale"]
    assert (steps.dtype, scale.dtype, steps.shape, scale.shape) == (np.int8, np.float32, weight.shape, weight.shape[:1])
    assert steps.min() >= -127
    rows, back = weight.reshape(len(weight), -1), steps.reshape(len(weight), -1) * scale[:, None].astype(np.float64)
    # Half a step, and what float32 rounds of it.
    assert (np.abs(back - rows) <= 0.5 * scale[:, None] * (1 + 1e-4)).all()
    largest = np.abs(rows).max(axis=1)
    assert (np.abs(steps.reshape(len(weight), -1)).max(axis=1)[largest > 128 * _TINY] == 127).all()


def test_a_channel_of_zeros_stays_zeros() -> None:
    filled = quantise("hole", np.zeros((3, 4), np.float32))
    assert not filled["hole.quantised"].any()
    assert (filled["hole.scale"] > 0).all()


def test_holes_that_the_manifest_calls_quantised_are_folded_first() -> None:
    rng = np.random.default_rng(0)
    core, basis = rng.standard_normal((4, 4)).astype(np.float32), rng.standard_normal((4, 3, 2, 2)).astype(np.float32)
    tensors = {"a.core.weight": core, "a.down.weight": basis, "head.weight": np.ones((2, 4), np.float32)}
    manifest = {
        "folds": [{"hole": "a.down.weight", "core": "a.core.weight"}],
        "infer": {"holes": ["a.down.weight", "head.weight"], "quantised_holes": ["a.down.weight"]},
    }
    filled = fill_holes(manifest, tensors)
    assert list(filled) == ["a.down.weight.quantised", "a.down.weight.scale", "head.weight"]
    folded = (core @ basis.reshape(4, -1)).reshape(basis.shape)
    assert filled["a.down.weight.scale"] == pytest.approx(np.abs(folded).reshape(4, -1).max(axis=1) / 127)
    np.testing.assert_array_equal(filled["a.down.weight.quantised"], quantise("h", folded)["h.quantised"])


def test_a_manifest_of_before_names_no_quantised_holes() -> None:
    tensors = {"head.weight": np.ones((2, 4), np.float32)}
    filled = fill_holes({"folds": [], "infer": {"holes": ["head.weight"]}}, tensors)
    assert list(filled) == ["head.weight"]
