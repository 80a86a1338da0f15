"""The head that a task starts with: the pretrained one where it knows the classes, else one fitted to the examples."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from toolkit.adaptation import features_of, fitted_head, head_start, task_head
from toolkit.inputs import inputs_of
from toolkit.models import Network
from toolkit.tasks import Examples, Task


def _task(classes: int) -> Task:
    """One blob a class, far apart."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(classes * 4) % classes
    x = 10 * torch.eye(classes, 4)[y] + 0.1 * torch.randn(len(y), 4, generator=generator)
    return Task("blobs", tuple("abcdef"[:classes]), Examples(x, y), Examples(x, y))


def _head(weight: torch.Tensor) -> nn.Linear:
    head = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    with torch.no_grad():
        head.weight.copy_(weight)
    return head


def test_a_head_that_knows_the_classes_is_kept() -> None:
    network = Network(nn.Identity(), _head(torch.eye(3, 4)), 4)
    task = _task(3)
    assert head_start(network, task) == "pretrained"
    assert task_head("pretrained", network, network.backbone, task) is network.head


@pytest.mark.parametrize(
    "head", [None, _head(torch.eye(4, 4)), _head(torch.eye(3, 4).roll(1, 0))], ids=["none", "more classes", "permuted"]
)
def test_any_other_head_gives_way_to_a_fitted_one(head: nn.Linear | None) -> None:
    network, task = Network(nn.Identity(), head, 4), _task(3)
    assert head_start(network, task) == "fitted"
    made = task_head("fitted", network, network.backbone, task)
    assert (made(*task.query.x).argmax(1) == task.query.y).all()


def test_a_head_that_errs_here_and_there_is_kept() -> None:
    """A head that was fitted to the examples that it is judged by would get them all."""
    task = _task(3)
    y = task.support.y.clone()
    y[:3] = y[:3].roll(1)  # a quarter is labelled wrongly: whoever learns from them knows no better
    network = Network(nn.Identity(), _head(torch.eye(3, 4)), 4)
    assert head_start(network, replace(task, support=Examples(task.support.x, y))) == "pretrained"


@pytest.mark.parametrize(("classes", "start"), [(2, "fitted"), (4, "pretrained")])
def test_of_single_examples_a_head_is_kept_that_does_not_guess(classes: int, start: str) -> None:
    """Two right of two happen to one guesser in four; four right of four to one in 256."""
    task = _task(classes)
    single = task.support[:classes]
    network = Network(nn.Identity(), _head(torch.eye(classes, 4)), 4)
    assert head_start(network, replace(task, support=single)) == start


def test_a_fitted_head_reads_the_backbone_it_is_given() -> None:
    torch.manual_seed(0)
    task, backbone = _task(3), nn.Linear(4, 7)
    head = fitted_head(backbone, task.support, 3)
    assert (head.in_features, head.out_features) == (7, 3)
    assert (head(backbone(*task.query.x)).argmax(1) == task.query.y).all()


def test_features_do_not_depend_on_the_batches() -> None:
    torch.manual_seed(0)
    backbone, x = nn.Linear(4, 2), torch.randn(300, 4)
    torch.testing.assert_close(features_of(backbone, inputs_of(x)), backbone(x).detach())
