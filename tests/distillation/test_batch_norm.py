"""Statistics of batch normalisation are those of the network that it stands in."""

import pytest
import torch
from torch import nn

from toolkit.distillation import estimate_statistics
from toolkit.distillation.batch_norm import ENOUGH, batch_statistics
from toolkit.inputs import inputs_of


@pytest.fixture
def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8, momentum=0.3), nn.Dropout(0.9)).eval()


def test_they_are_the_mean_and_variance_over_all_examples(network: nn.Sequential) -> None:
    x = 3 + 2 * torch.randn(ENOUGH, 3, 6, 6)
    estimate_statistics(network, inputs_of(x))
    seen, norm = network[0](x).detach(), network[1]
    torch.testing.assert_close(norm.running_mean, seen.mean((0, 2, 3)))
    # Batches of equal size vary about their own means: their mean variance is a little below that of all.
    torch.testing.assert_close(norm.running_var, seen.var((0, 2, 3)), rtol=0.02, atol=0)
    torch.testing.assert_close(network(x).mean((0, 2, 3)), torch.zeros(8), atol=1e-4, rtol=0)


def test_data_sorted_by_class_give_what_shuffled_data_give(network: nn.Sequential) -> None:
    levels = torch.arange(8.0).repeat_interleave(64)[:, None, None, None]
    x = torch.randn(512, 3, 6, 6) + 5 * levels
    estimate_statistics(network, inputs_of(x))
    seen, norm = network[0](x).detach(), network[1]
    torch.testing.assert_close(norm.running_var, seen.var((0, 2, 3)), rtol=0.1, atol=0)


def test_the_network_is_in_the_mode_that_it_was_in(network: nn.Sequential) -> None:
    estimate_statistics(network, inputs_of(torch.randn(ENOUGH, 3, 6, 6)))
    assert not any(module.training for module in network.modules())
    assert network[1].momentum == 0.3


def test_a_few_examples_say_less_than_the_dense_network(network: nn.Sequential) -> None:
    estimate_statistics(network, inputs_of(3 + torch.randn(ENOUGH - 1, 3, 6, 6)))
    assert network[1].running_mean.eq(0).all()


def test_a_network_without_it_stays_as_it_is() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    estimate_statistics(network, inputs_of(torch.randn(ENOUGH, 4)))
    torch.testing.assert_close(network.state_dict(), before, atol=0, rtol=0)


def test_inside_only_batch_normalisation_trains(network: nn.Sequential) -> None:
    with batch_statistics(network):
        assert [module.training for module in network] == [False, True, False]
    assert not network[1].training
