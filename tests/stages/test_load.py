"""What a user is told of the model before anything is measured."""

import pytest
import torch
from torch import nn

from toolkit.compression import Untraceable, compressible_layers
from toolkit.inputs import inputs_of
from toolkit.models import split_head
from toolkit.objectives import Boxes
from toolkit.progress import Silent
from toolkit.stages.load import _check_targets, _tell_dense, _tell_what_is_odd
from toolkit.stages.removable import find_blocks, removable
from toolkit.stages.watch import Watch
from toolkit.tasks import Examples, Task


def test_layers_that_stay_dense_are_told_once() -> None:
    """The projections of nn.MultiheadAttention are read, not called; depthwise convolutions have no matrix to part."""
    block = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    model = nn.Sequential(block, nn.Unflatten(1, (8, 1)), nn.Conv2d(8, 8, 1, groups=8), nn.Flatten(), nn.Linear(128, 4))
    layers = compressible_layers(model, inputs_of(torch.zeros(1, 8, 16)))
    assert set(layers) == {"0.linear1", "0.linear2", "4"}
    watch = Watch(Silent())
    _tell_dense(model, layers, watch)
    [note] = watch.notes
    assert note.startswith(
        "dense in any case: 1 MultiheadAttention, 1 NonDynamicallyQuantizableLinear, 1 Conv2d. Linear layers"
    )
    _tell_dense(nn.Sequential(nn.Linear(4, 4)), {"0": nn.Linear(4, 4)}, watch)
    assert len(watch.notes) == 1


def _odd(model: nn.Module, x: torch.Tensor) -> list[str]:
    examples, watch = Examples(x, torch.arange(len(x)) % 2), Watch(Silent())
    _tell_what_is_odd(Task("odd", ("a", "b"), examples, examples), split_head(model, inputs_of(x[:1])), watch)
    return watch.notes


def test_what_nobody_means_is_told() -> None:
    torch.manual_seed(0)
    plain, x = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2)), torch.randn(4, 6)
    assert _odd(plain, x) == []
    assert "the same" in _odd(plain, torch.ones(4, 6))[0]
    assert "softmax" in _odd(nn.Sequential(plain, nn.Softmax(-1)), x)[0]
    assert "no nn.Linear" in _odd(nn.Sequential(plain, nn.ReLU()), x)[0]


def test_a_dense_model_that_knows_nothing_of_its_task_is_told() -> None:
    """A detector that writes shares of the image where pixels are asked for finds no box."""
    boxes = torch.tensor([50.0, 25, 20, 20])
    targets = torch.tensor([[[0, 0.5, 0.5, 0.2, 0.4]]])
    for unit, notes in ((1.0, 0), (100.0, 1)):
        found = torch.cat([boxes / unit, torch.tensor([0.9])])
        model = nn.Sequential(nn.Linear(3, 5), nn.Unflatten(1, (5, 1)))
        nn.init.zeros_(model[0].weight)
        model[0].bias.data = found
        examples, watch = Examples(torch.randn(4, 3), targets.expand(4, 1, 5)), Watch(Silent())
        objective = Boxes(1, 1, (100.0, 50.0), probabilities=True)
        task = Task("boxes", ("thing",), examples, examples, objective=objective)
        _check_targets(task, split_head(model, inputs_of(torch.randn(1, 3)), vectors=False), watch)
        assert len(watch.notes) == notes
        assert all("F1 of boxes of the dense model is 0.0%" in note for note in watch.notes)


class Branches(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2 if x.mean() > 0 else x


def test_what_no_runtime_could_have_is_refused_when_it_is_loaded() -> None:
    with pytest.raises(Untraceable):
        removable(find_blocks, None, Branches(), torch.ones(1, 4), Watch(Silent()))
