"""Meta-training finds which layer a task needs, where gains do not say it."""

from itertools import repeat

import torch
from torch import nn

from tests.choices import curve
from toolkit.adaptation import fitted_head
from toolkit.compression import calibrate, compressible_layers, jactus_spectrum, matrix
from toolkit.compression.policy import embed_task
from toolkit.distillation import train_policy
from toolkit.inputs import inputs_of
from toolkit.tasks import Examples, Task


class TwoBranches(nn.Module):
    """Features are the sum of two linear maps of the two halves of the input."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(16, 16, bias=False), nn.Linear(16, 16, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.left(x[:, :16]) + self.right(x[:, 16:])


def test_the_layer_that_tells_the_classes_apart_gets_the_lower_threshold() -> None:
    """Classes differ in the left half only; the gain curves claim that both halves are worth the same."""
    torch.manual_seed(0)
    model = TwoBranches().eval()
    centres = torch.cat([2 * torch.randn(6, 16), torch.zeros(6, 16)], 1)

    def examples(each: int) -> Examples:
        y = torch.arange(6).repeat_interleave(each)
        return Examples(centres[y] + 0.3 * torch.randn(len(y), 32), y)

    task = Task("left", tuple("abcdef"), examples(5), examples(8))
    layers = compressible_layers(model, task.support.x[:1])
    noise = torch.randn(256, 32)
    statistics = calibrate(model, layers, [(inputs_of(noise), lambda features: features)])
    spectra = {name: jactus_spectrum(matrix(layer), statistics[name], 8) for name, layer in layers.items()}
    gains = {name: curve(name, {size: 1 - 0.8**size for size in range(1, 8)}, 1.0) for name in layers}
    policy = train_policy(
        model, layers, spectra, gains, repeat(task), steps=60, room=(0.3, 0.5), seed=0, on_progress=lambda *_: None
    )
    head = fitted_head(model, task.support, 6)
    thresholds = policy.log_thresholds(embed_task(model, layers, task.support, head, 6), 0.4)
    assert thresholds["left"] < -0.5 < 0.5 < thresholds["right"]
