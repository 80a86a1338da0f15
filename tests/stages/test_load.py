"""What a user is told of the model before anything is measured."""

import torch
from torch import nn

from toolkit.compression import compressible_layers
from toolkit.progress import Silent
from toolkit.stages.load import _tell_dense
from toolkit.stages.watch import Watch


def test_layers_that_stay_dense_are_told_once() -> None:
    """The projections of nn.MultiheadAttention are read, not called; depthwise convolutions have no matrix to part."""
    block = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    model = nn.Sequential(block, nn.Unflatten(1, (8, 1)), nn.Conv2d(8, 8, 1, groups=8), nn.Flatten(), nn.Linear(128, 4))
    layers = compressible_layers(model, torch.zeros(1, 8, 16))
    assert set(layers) == {"0.linear1", "0.linear2", "4"}
    watch = Watch(Silent())
    _tell_dense(model, layers, watch)
    [note] = watch.notes
    assert note.startswith(
        "1 MultiheadAttention, 1 NonDynamicallyQuantizableLinear, 1 Conv2d stay dense: only nn.Linear"
    )
    _tell_dense(nn.Sequential(nn.Linear(4, 4)), {"0": nn.Linear(4, 4)}, watch)
    assert len(watch.notes) == 1
