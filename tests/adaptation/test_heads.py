"""The head that a task starts with: the pretrained one where it knows the classes, else the nearest class mean."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from toolkit.adaptation import features_of, head_start, prototype_linear, task_head
from toolkit.adaptation.prototypes import prototype_head
from toolkit.inputs import inputs_of
from toolkit.models import Network
from toolkit.tasks import Examples, Task


@settings(deadline=None)
@given(st.integers(2, 5), st.integers(1, 4), st.integers(1, 6), st.integers(0, 99))
def test_a_prototype_head_says_the_nearest_class_mean(classes: int, shots: int, size: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(classes).repeat_interleave(shots)
    features = 3 + torch.randn(len(y), size, generator=generator)
    weight, bias = prototype_head(features, y, torch.ones(len(y)), classes)
    means = torch.stack([features[y == label].mean(0) for label in range(classes)])
    queries = 3 + torch.randn(20, size, generator=generator)
    distances = ((queries[:, None] - means) ** 2).sum(-1)
    logits = queries @ weight.T + bias
    nearest = distances.sort(1).values
    clear = nearest[:, 1] - nearest[:, 0] > 1e-3
    assert (logits.argmax(1) == distances.argmin(1))[clear].all()


def test_examples_without_weight_are_not_seen() -> None:
    features, y = torch.randn(8, 3, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 2
    some = prototype_head(features, y, torch.tensor([1.0, 1, 1, 1, 0, 0, 0, 0]), 2)
    for found, wanted in zip(some, prototype_head(features[:4], y[:4], torch.ones(4), 2), strict=True):
        torch.testing.assert_close(found, wanted)


def test_features_that_do_not_differ_give_a_head_without_nan() -> None:
    for made in prototype_head(torch.ones(4, 3), torch.tensor([0, 0, 1, 1]), torch.ones(4), 2):
        assert torch.isfinite(made).all()


def test_logits_on_the_support_spread_by_two() -> None:
    # Fixed in toolkit/adaptation/prototypes.py: sharp enough to learn from, soft enough to keep a gradient.
    features = 100 * torch.randn(12, 5, generator=torch.Generator().manual_seed(0))
    weight, bias = prototype_head(features, torch.arange(12) % 3, torch.ones(12), 3)
    assert float((features @ weight.T + bias).std(correction=0)) == pytest.approx(2, rel=1e-4)


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
def test_any_other_head_gives_way_to_prototypes(head: nn.Linear | None) -> None:
    network, task = Network(nn.Identity(), head, 4), _task(3)
    assert head_start(network, task) == "prototype"
    made = task_head("prototype", network, network.backbone, task)
    assert (made(*task.query.x).argmax(1) == task.query.y).all()


def test_a_head_that_errs_here_and_there_is_kept() -> None:
    """Prototypes of the examples that they are judged by would get them all."""
    task = _task(3)
    y = task.support.y.clone()
    y[:3] = y[:3].roll(1)  # a quarter is labelled wrongly: whoever learns from them knows no better
    network = Network(nn.Identity(), _head(torch.eye(3, 4)), 4)
    assert head_start(network, replace(task, support=Examples(task.support.x, y))) == "pretrained"


@pytest.mark.parametrize(("classes", "start"), [(2, "prototype"), (4, "pretrained")])
def test_of_single_examples_a_head_is_kept_that_does_not_guess(classes: int, start: str) -> None:
    """Two right of two happen to one guesser in four; four right of four to one in 256."""
    task = _task(classes)
    single = task.support[:classes]
    network = Network(nn.Identity(), _head(torch.eye(classes, 4)), 4)
    assert head_start(network, replace(task, support=single)) == start


def test_a_prototype_head_reads_the_backbone_it_is_given() -> None:
    torch.manual_seed(0)
    task, backbone = _task(3), nn.Linear(4, 7)
    head = prototype_linear(backbone, task.support, 3)
    assert (head.in_features, head.out_features) == (7, 3)
    assert (head(backbone(*task.query.x)).argmax(1) == task.query.y).all()


def test_features_do_not_depend_on_the_batches() -> None:
    torch.manual_seed(0)
    backbone, x = nn.Linear(4, 2), torch.randn(300, 4)
    torch.testing.assert_close(features_of(backbone, inputs_of(x)), backbone(x).detach())
