"""A board trains as much of a network as its runtime can have a gradient of; the head at least."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from learning import learning_of, loaded_steps, take_steps, whole_of
from torch import nn

from tests.choices import ranks
from toolkit.compression import best_approximations, components_of, compress, matrix
from toolkit.errors import BadInput
from toolkit.inputs import inputs_of
from toolkit.objectives import Classification
from toolkit.runtimes import onnxruntime
from toolkit.runtimes.bundle import trainable_names
from toolkit.runtimes.learning import Learning
from toolkit.stages.learning import HEAD, batch_size, export_learning


class Masked(nn.Module):
    """Branches on a mask where it is not exported, as Hugging Face's BERT does."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mask = (x > -50).float()
        return x * mask if torch.compiler.is_exporting() or not bool(mask.all()) else x


class _Sign(torch.autograd.Function):
    @staticmethod
    def forward(context: torch.autograd.function.FunctionCtx, x: torch.Tensor) -> torch.Tensor:
        context.save_for_backward(x)
        return x.sign()

    @staticmethod
    def backward(context: torch.autograd.function.FunctionCtx, *gradients: torch.Tensor) -> torch.Tensor:
        (x,) = context.saved_tensors  # type: ignore[attr-defined]
        return gradients[0] * (x.abs() <= 1)


class Sign(nn.Module):
    """Has a gradient of its own, written for autograd alone."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _Sign.apply(x)  # type: ignore[no-untyped-call]


def _learning(middle: nn.Module) -> tuple[Learning, nn.Module, nn.Linear, torch.Tensor]:
    torch.manual_seed(0)
    first, last = nn.Conv2d(3, 16, 3, padding=1), nn.Linear(16, 16)
    model = nn.Sequential(middle, first, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), last).eval()
    if not isinstance(middle, Masked):
        model = nn.Sequential(first, middle, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), last).eval()
    names = [name for name, module in model.named_modules() if module in (first, last)]
    spectra = {
        name: best_approximations(matrix(layer), None, None, components_of(layer))
        for name, layer in zip(names, (first, last), strict=True)
    }
    backbone, head = compress(model, spectra, ranks(dict.fromkeys(names, 4))).eval(), nn.Linear(16, 3)
    x = torch.randn(6, 3, 8, 8)
    return learning_of(onnxruntime, backbone, head, x), backbone, head, x


def _train(made: Learning, backbone: nn.Module, head: nn.Linear, x: torch.Tensor, folder: Path) -> list[float]:
    """Losses of ten steps by ONNX Runtime; the first is what torch computes."""
    y, whole = torch.arange(6) % 3, whole_of(backbone, head)
    values = [whole.get_parameter(name).detach().numpy() for name in made.trainables]
    losses, _ = take_steps(*loaded_steps(onnxruntime, made, folder), x.numpy(), y.numpy(), values, 10, 3e-3)
    assert losses[0] == pytest.approx(F.cross_entropy(whole(x), y).item(), abs=1e-5)
    return losses


@pytest.mark.parametrize("middle", [Masked(), Sign()], ids=["mask", "own gradient"])
def test_what_cannot_be_traced_as_written_learns_as_exported(middle: nn.Module, tmp_path: Path) -> None:
    made, backbone, head, x = _learning(middle)
    assert made.trainables == trainable_names(backbone, head)
    assert made.hindrance is not None
    assert "exported" in made.hindrance
    losses = _train(made, backbone, head, x, tmp_path)
    assert losses[-1] < losses[0]


def test_where_the_runtime_has_no_gradient_the_head_learns_alone(tmp_path: Path) -> None:
    made, backbone, head, x = _learning(nn.LocalResponseNorm(3))
    assert made.trainables == HEAD
    assert made.hindrance is not None
    assert made.hindrance.startswith("the head alone")
    assert "avg_pool3d_backward" in made.hindrance
    losses = _train(made, backbone, head, x, tmp_path)
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    ("examples", "channels", "size"),
    # Within 32, in as many equal parts as it takes. Of 3,072 + 2 * 1,024 * 64 values 15 fit into 2^21; of 900 channels
    # one would. A view holds none of its own.
    [(6, 1, 6), (50, 1, 25), (65, 1, 22), (20, 64, 10), (40, 64, 14), (3, 900, 2)],
)
def test_batches_are_as_large_as_memory_allows(examples: int, channels: int, size: int) -> None:
    network = nn.Sequential(nn.Conv2d(3, channels, 1), nn.Tanh(), nn.Flatten(2))
    assert batch_size(network, inputs_of(torch.zeros(examples, 3, 32, 32))) == size


@dataclass(frozen=True)
class Leaves(Classification):
    """Scores by what is no torch operation."""

    def score(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return torch.tensor([float(outputs.numpy().max())])


def test_an_objective_that_no_runtime_can_score_by_is_said() -> None:
    torch.manual_seed(0)
    backbone, head, x = nn.Sequential(nn.Linear(4, 8), nn.ReLU()).eval(), nn.Linear(8, 3), torch.randn(6, 4)
    with pytest.raises(BadInput, match="cannot score by Leaves"):
        export_learning(onnxruntime, backbone, head, "pretrained", inputs_of(x), torch.arange(6) % 3, Leaves())
