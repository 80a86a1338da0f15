"""What a board runs to learn, as ordinary graphs for any inference runtime: gradient, update, judgement.

No agent knows what is learned: an objective's loss and score lie in the graphs, with a weight for each example. Batches
are of a fixed size; an agent adds up the gradients of as many as it takes, and fills the last with rows of weight zero.
"""

import contextlib
import warnings
from collections.abc import Iterator, Sequence

import torch
from torch import nn
from torch.export import ExportedProgram
from torch.func import functional_call, functionalize, grad_and_value
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.attention import SDPBackend, sdpa_kernel

from toolkit.adaptation.core_products import multiply_by_cores
from toolkit.adaptation.decompositions import decompositions
from toolkit.inputs import Inputs
from toolkit.objectives import Objective

_BETA1, _BETA2 = 0.9, 0.999


def trace_gradient(
    model: nn.Module, names: Sequence[str], inputs: Inputs, targets: torch.Tensor, objective: Objective
) -> ExportedProgram:
    """(*inputs, targets, weights, *trainables) -> (losses, outputs, *gradients), on batches shaped like those given.

    Losses (N,) are each example's own; gradients are of their sum, each times its weight. The parameters in `names` are
    trained. A model may be an exported graph.
    """
    if not isinstance(model, GraphModule):  # which has its mode for good
        model = model.eval()
    parameters = dict(model.named_parameters())
    count = len(tuple(inputs))

    def of_trainables(
        values: tuple[torch.Tensor, ...], given: Sequence[torch.Tensor], targets: torch.Tensor, weights: torch.Tensor
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        outputs = functional_call(model, dict(zip(names, values, strict=True)), tuple(given))
        losses = objective.loss(outputs, targets)
        return (weights * losses).sum(), (losses, outputs)

    def gradient(*given: torch.Tensor) -> tuple[torch.Tensor, ...]:
        (targets, weights), values = given[count : count + 2], given[count + 2 :]
        gradients, (_, (losses, outputs)) = grad_and_value(of_trainables, has_aux=True)(
            values, given[:count], targets, weights
        )
        return (losses, outputs, *gradients)

    trainables = [parameters[name].detach().clone() for name in names]
    arguments = (*inputs, targets, torch.ones(len(inputs)), *trainables)
    # Functions that write in place (a padding's gradient, an activation) become ones that do not.
    # The fused kernels for attention and recurrence have gradients that no runtime knows; the plain formulas decompose.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), _without_fused_recurrence():
        graph = make_fx(functionalize(gradient), decomposition_table=decompositions(), _allow_non_fake_inputs=True)(
            *arguments
        )
    given = [node for node in graph.graph.nodes if node.op == "placeholder"]
    multiply_by_cores(graph, given[len(given) - len(trainables) :])
    graph.graph.eliminate_dead_code()
    graph.recompile()
    return _exported(graph, arguments)


def trace_update(trainables: Sequence[torch.Tensor]) -> ExportedProgram:
    """(total, lr, eps, *gradients, *trainables, *state) -> (*new trainables, *new state): Adam (Kingma & Ba 2015).

    `total` is the weight of the examples that the gradients are a sum over. State is the first moments, the second
    moments, and the two bias corrections 1 - beta^t, kept by the recurrence c = beta c + (1 - beta): as powers they
    would cancel in float32. `eps` is an input because the ONNX optimiser drops the addition of so small a constant.
    """
    count = len(trainables)

    def update(
        total: torch.Tensor, lr: torch.Tensor, eps: torch.Tensor, *rest: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        gradients, values, first, second = (rest[index * count : (index + 1) * count] for index in range(4))
        gradients = tuple(gradient / total for gradient in gradients)
        correction1 = _BETA1 * rest[4 * count] + (1 - _BETA1)
        correction2 = _BETA2 * rest[4 * count + 1] + (1 - _BETA2)
        first = tuple(_BETA1 * m + (1 - _BETA1) * g for m, g in zip(first, gradients, strict=True))
        second = tuple(_BETA2 * v + (1 - _BETA2) * g * g for v, g in zip(second, gradients, strict=True))
        moved = tuple(
            value - lr * (m / correction1) / (torch.sqrt(v / correction2) + eps)
            for value, m, v in zip(values, first, second, strict=True)
        )
        return (*moved, *first, *second, correction1, correction2)

    values = [each.detach().clone() for each in trainables]
    arguments = (
        *(torch.tensor(1.0), torch.tensor(1e-3), torch.tensor(1e-8)),
        *(torch.zeros_like(each) for each in values),
        *values,
        *fresh_state(values),
    )
    return _exported(_Function(update), arguments)


def fresh_state(trainables: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """What an optimiser starts from, in the order in which `trace_update` takes it: zeros."""
    # Each a tensor of its own: one that is given twice would be traced as one.
    moments = [torch.zeros_like(value) for _ in range(2) for value in trainables]
    return [*moments, torch.zeros(()), torch.zeros(())]


def trace_judge(objective: Objective, outputs: torch.Tensor, targets: torch.Tensor) -> ExportedProgram:
    """(outputs, targets) -> (scores (N,), judgements (N, K)); see `Objective`."""

    def judge(outputs: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return objective.score(outputs, targets), objective.judgement(outputs, targets)

    return _exported(_Function(judge), (outputs, targets))


class _Function(nn.Module):
    """What `torch.export` takes a function as."""

    def __init__(self, function: object) -> None:
        super().__init__()
        self.function = function

    def forward(self, *arguments: torch.Tensor) -> object:
        return self.function(*arguments)  # type: ignore[operator]


def _exported(module: nn.Module, arguments: tuple[torch.Tensor, ...]) -> ExportedProgram:
    with torch.no_grad():
        return torch.export.export(module, arguments)


@contextlib.contextmanager
def _without_fused_recurrence() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "TF32 acceleration")  # switching oneDNN off mentions GPUs it has not
        with torch.backends.mkldnn.flags(enabled=False):
            yield
