"""Examples that ranges are read from: some of all, always the same, fewer of large ones."""

import pytest
import torch

from toolkit.errors import BadInput
from toolkit.inputs import inputs_of
from toolkit.runtimes.examples import drawn


@pytest.mark.parametrize(
    ("shape", "count"),
    # 2**23 values: 2048 examples of 4096, 128 of 65,536 (256 x 256), 8 of a million, of which 32 are drawn.
    [((4, 8), 4), ((300, 8), 256), ((300, 4096), 256), ((300, 1, 256, 256), 128), ((40, 2**20), 32)],
)
def test_so_many_are_drawn(shape: tuple[int, ...], count: int) -> None:
    examples = torch.arange(shape[0], dtype=torch.float32).reshape(-1, *[1] * (len(shape) - 1)).expand(shape)
    [found] = drawn(inputs_of(examples))
    assert found.shape == (count, *shape[1:])
    places = found.flatten(1)[:, 0]
    assert places.tolist() == sorted(set(places.tolist()))
    assert torch.equal(found, *drawn(inputs_of(examples)))
    if count < shape[0]:  # from all of them: of the last fifth, too
        assert places.max() >= 0.8 * shape[0]


@pytest.mark.parametrize("examples", [torch.zeros(0, 3), torch.zeros(3, 0)])
def test_without_an_example_there_is_nothing_to_draw(examples: torch.Tensor) -> None:
    with pytest.raises(BadInput, match="holds no example"):
        drawn(inputs_of(examples))


def test_examples_that_are_no_numbers_are_counted() -> None:
    examples = torch.zeros(5, 3)
    examples[1, 2], examples[4, 0] = float("nan"), float("-inf")
    with pytest.raises(BadInput, match="2 of 5 examples hold NaN or infinite values"):
        drawn(inputs_of(examples))
