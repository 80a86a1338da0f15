"""One step of training as an ordinary graph that any inference runtime can run.

(x, labels, lr, eps, *trainables, *state) -> (loss, logits, *new trainables, *new state), with Adam (Kingma & Ba 2015).
State is the first moments, the second moments, and the two bias corrections 1 - beta^t, kept by the recurrence
c = beta c + (1 - beta): as powers they would cancel in float32.
"""

import contextlib
import warnings
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import nn
from torch.export import ExportedProgram
from torch.func import functional_call, functionalize, grad_and_value
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.attention import SDPBackend, sdpa_kernel

from toolkit.adaptation.gradients import decompositions

_BETA1, _BETA2 = 0.9, 0.999


def trace_train_step(model: nn.Module, names: tuple[str, ...], x: torch.Tensor, classes: int) -> ExportedProgram:
    """The graph for `model` (x -> logits) moving the parameters in `names`, on batches shaped like `x` (N, ...).

    Labels are one-hot rows (N, classes); a row of zeros takes its example out of the mean. `eps` is an input because
    the ONNX optimiser drops the addition of a constant as small as Adam's. A model may be an exported graph.
    """
    if not isinstance(model, GraphModule):  # which has its mode for good
        model = model.eval()
    parameters = dict(model.named_parameters())
    trainables = [parameters[name].detach().clone() for name in names]
    state = [torch.zeros_like(value) for value in trainables] * 2 + [torch.zeros(()), torch.zeros(())]
    labels = torch.eye(classes)[torch.arange(len(x)) % classes]
    arguments = (x, labels, torch.tensor(1e-3), torch.tensor(1e-8), *trainables, *(each.clone() for each in state))
    # Functions that write in place (a padding's gradient, an activation) become ones that do not.
    step = functionalize(_adam_step(model, names))
    # The fused kernels for attention and recurrence have gradients that no runtime knows; the plain formulas decompose.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), _without_fused_recurrence():
        graph = make_fx(step, decomposition_table=decompositions(), _allow_non_fake_inputs=True)(*arguments)
    graph.graph.eliminate_dead_code()
    graph.recompile()
    with torch.no_grad():
        return torch.export.export(graph, arguments)


def _adam_step(model: nn.Module, names: tuple[str, ...]) -> Callable[..., tuple[torch.Tensor, ...]]:
    count = len(names)

    def loss_and_logits(
        values: tuple[torch.Tensor, ...], x: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        logits = functional_call(model, dict(zip(names, values, strict=True)), (x,))
        return -(labels * F.log_softmax(logits, -1)).sum() / labels.sum(), logits

    def step(
        x: torch.Tensor, labels: torch.Tensor, lr: torch.Tensor, eps: torch.Tensor, *rest: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        values, first, second = rest[:count], rest[count : 2 * count], rest[2 * count : 3 * count]
        gradients, (loss, logits) = grad_and_value(loss_and_logits, has_aux=True)(values, x, labels)
        correction1 = _BETA1 * rest[3 * count] + (1 - _BETA1)
        correction2 = _BETA2 * rest[3 * count + 1] + (1 - _BETA2)
        first = tuple(_BETA1 * m + (1 - _BETA1) * g for m, g in zip(first, gradients, strict=True))
        second = tuple(_BETA2 * v + (1 - _BETA2) * g * g for v, g in zip(second, gradients, strict=True))
        moved = tuple(
            value - lr * (m / correction1) / (torch.sqrt(v / correction2) + eps)
            for value, m, v in zip(values, first, second, strict=True)
        )
        return (loss, logits, *moved, *first, *second, correction1, correction2)

    return step


@contextlib.contextmanager
def _without_fused_recurrence() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "TF32 acceleration")  # switching oneDNN off mentions GPUs it has not
        with torch.backends.mkldnn.flags(enabled=False):
            yield
