"""Whatever the board accepted, the host says so where the queries are worse off."""

import pytest
import torch
import torch.nn.functional as F

from toolkit.objectives import CLASSIFICATION
from toolkit.progress import Silent
from toolkit.stages import Watch
from toolkit.stages.adapt import tell_of_a_loss
from toolkit.tasks import Examples

_QUERIES = Examples(torch.zeros(4, 2), torch.tensor([0, 1, 2, 2]))


def _logits(*answers: int) -> torch.Tensor:
    return F.one_hot(torch.tensor(answers), 3).float()


@pytest.mark.parametrize("after", [_logits(0, 1, 2, 0), _logits(0, 1, 2, 2)])
def test_nothing_is_said_of_what_learning_did_not_harm(after: torch.Tensor) -> None:
    watch = Watch(Silent())
    tell_of_a_loss(CLASSIFICATION, _QUERIES, _logits(0, 1, 0, 2), after, watch)
    assert watch.notes == []


def test_a_loss_is_said_with_both_figures() -> None:
    watch = Watch(Silent())
    tell_of_a_loss(CLASSIFICATION, _QUERIES, _logits(0, 1, 0, 2), _logits(1, 1, 0, 0), watch)
    [note] = watch.notes
    assert all(each in note for each in ("25.0%", "75.0%", "4 queries"))
    assert "--shots" in note
