"""Without some channels a network computes what it does with zeros there; channels of which that is not so stay."""

import copy
from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from networks import build
from torch import nn

from benchmarks.models.coverage.listeners import crnn
from benchmarks.models.resnet import ResNet, with_convolved_shortcuts
from toolkit.choice import keep
from toolkit.compression import ChannelGroup, RankedChannels, channel_groups, compress, rank_channels
from toolkit.compression.channels.find import holds
from toolkit.errors import BadInput
from toolkit.inputs import inputs_of
from toolkit.models import split_head


class Padded(nn.Module):
    """A convolution whose channels a second one reads from the fourth on, behind zeros: the graph misses that."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.reader = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(16, 8, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide = F.pad(torch.relu(self.stem(x)), (0, 0, 0, 0, 4, 4))
        return torch.relu(self.reader(wide)).mean((2, 3))


class Mixed(nn.Module):
    """Channels that pass through an operation which mixes them: each has a share in what is left of the others."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.reader = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.reader(self.stem(x).softmax(1)).mean((2, 3))


class Attends(nn.Module):
    """Heads of eight channels: half of sixteen are one head, fifteen are none."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v, self.last = (nn.Linear(6, 16), nn.Linear(6, 16), nn.Linear(6, 16), nn.Linear(16, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (layer(x).view(len(x), x.shape[1], -1, 8).transpose(1, 2) for layer in (self.q, self.k, self.v))
        attended = (q @ k.transpose(-2, -1)).softmax(-1) @ v
        return self.last(attended.transpose(1, 2).flatten(2)).mean(1)


def separable() -> tuple[nn.Module, torch.Tensor]:
    """Depthwise-separable convolutions, and a linear layer that reads the last maps pixel by pixel."""
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Conv2d(3, 8, 3, 2, 1)]
    for inside, outside in ((8, 12), (12, 16), (16, 6)):
        depthwise = nn.Conv2d(inside, inside, 3, padding=1, groups=inside, bias=False)
        layers += [nn.BatchNorm2d(inside), nn.ReLU(), depthwise, nn.BatchNorm2d(inside), nn.ReLU6()]
        layers += [nn.Conv2d(inside, outside, 1)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(6 * 25, 8), nn.ReLU()).eval(), torch.randn(4, 3, 10, 10)


def residual() -> tuple[nn.Module, torch.Tensor]:
    model, x = build("resnet")
    return split_head(model, inputs_of(x[:1])).backbone, x


def _shuffled(group: ChannelGroup) -> RankedChannels:
    order = torch.randperm(group.channels, generator=torch.Generator().manual_seed(1))
    return RankedChannels(group, tuple(order.tolist()))


@torch.no_grad()
def _zeroed(model: nn.Module, ranked: RankedChannels, kept: int) -> nn.Module:
    """Written apart from the product: whoever reads a channel that is gone reads zero."""
    model = copy.deepcopy(model)
    gone = ranked.order[kept:]
    for cut in ranked.group.cuts:
        if cut.side == "inputs":
            for channel in gone:
                for place in cut.places[channel]:
                    model.get_submodule(cut.module).weight[:, place] = 0
    return model


@pytest.mark.parametrize("network", [separable, residual])
@torch.no_grad()
def test_without_channels_a_network_is_what_it_is_with_zeros(network) -> None:
    model, x = network()
    groups, _ = channel_groups(model, inputs_of(x[:1]))
    assert groups
    ranked = {name: _shuffled(group) for name, group in groups.items()}
    expected = model
    for name, group in groups.items():
        for kept in (1, group.channels // 2):
            narrowed = compress(model, ranked, {name: keep(kept)})
            torch.testing.assert_close(narrowed(x), _zeroed(model, ranked[name], kept)(x), rtol=1e-4, atol=1e-5)
            assert _values(narrowed) < _values(model)
        expected = _zeroed(expected, ranked[name], group.channels // 2)
    together = compress(model, ranked, {name: keep(group.channels // 2) for name, group in groups.items()})
    torch.testing.assert_close(together(x), expected(x), rtol=1e-4, atol=1e-5)


def test_groups_share_no_layer_and_depthwise_ones_go_with_the_channels_they_filter() -> None:
    model, x = separable()
    groups, failed = channel_groups(model, inputs_of(x[:1]))
    touched = [cut.module for group in groups.values() for cut in group.cuts]
    assert len(touched) == len(set(touched))
    # Every second one of the chain; to the last layer, a channel of the last map is 25 pixels.
    assert [group.layers for group in groups.values()] == [("12", "6", "9"), ("18", "20")]
    assert list(groups) == ["channels of 6", "channels of 18"]  # named by what makes them
    assert failed == ("20",)  # it makes the features


@pytest.mark.parametrize("convolved", [False, True])
def test_of_a_residual_network_the_insides_of_blocks_are_offered(convolved: bool) -> None:
    torch.manual_seed(0)
    network = with_convolved_shortcuts(ResNet(1)) if convolved else ResNet(1)
    groups, failed = channel_groups(
        split_head(network.eval(), inputs_of(torch.zeros(1, 3, 32, 32))).backbone, inputs_of(torch.ones(1, 3, 32, 32))
    )
    blocks = [f"layer{stage}.0" for stage in (1, 2, 3)]
    assert [group.layers for group in groups.values()] == [(f"{each}.conv1", f"{each}.conv2") for each in blocks]
    assert list(groups) == [f"channels of {each}.conv1" for each in blocks]
    assert failed == (("layer3.0.shortcut",) if convolved else ())  # it makes features


@pytest.mark.parametrize("network", [Padded, Mixed])
def test_channels_that_the_graph_couples_wrongly_are_not_offered(network: type[nn.Module]) -> None:
    torch.manual_seed(0)
    groups, failed = channel_groups(network().eval(), inputs_of(torch.randn(1, 3, 8, 8)))
    assert groups == {}
    assert "stem" in failed


def test_channels_of_which_only_whole_heads_may_go_are_not_offered() -> None:
    groups, failed = channel_groups(Attends().eval(), inputs_of(torch.randn(1, 5, 6)))
    assert not groups
    assert failed


class Shuffles(nn.Module):
    """Channels of two halves in turns (ShuffleNet v2; Ma et al. 2018)."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(4, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kept, other = x.chunk(2, 1)
        x = torch.cat([kept, self.convolution(other)], 1)
        n, channels, height, width = x.shape
        return x.view(n, 2, channels // 2, height, width).transpose(1, 2).reshape(n, channels, height, width)


def test_whatever_the_library_raises_the_network_is_refused_for_its_channels_alone() -> None:
    """It divides by zero where channels are shuffled a third time."""
    shuffled = nn.Conv2d(3, 8, 1), *[Shuffles() for _ in range(3)]
    network = nn.Sequential(*shuffled, nn.Conv2d(8, 6, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3))
    with pytest.raises(BadInput, match="cannot follow its channels"):
        channel_groups(network.eval(), inputs_of(torch.randn(1, 3, 2, 2)))


def test_a_network_whose_groups_the_library_cannot_follow_is_refused() -> None:
    """Of convolutions before a GRU it loses count only when it looks for groups."""
    with pytest.raises(BadInput, match="cannot follow"):
        channel_groups(crnn().eval(), inputs_of(torch.randn(1, 1, 32, 32)))


def test_scales_of_zero_let_no_group_pass() -> None:
    """A network that starts as the identity, as residual networks are trained, computes the same without anything."""
    torch.manual_seed(0)
    model = Padded().eval()
    nn.init.zeros_(model.reader.weight)
    assert "stem" in channel_groups(model, inputs_of(torch.randn(1, 3, 8, 8)))[1]


def test_a_group_that_nobody_reads_or_that_shares_a_weight_does_not_hold() -> None:
    model, x = residual()
    group = next(iter(channel_groups(model, inputs_of(x[:1]))[0].values()))
    assert holds(model, group, inputs_of(x[:1]))
    unread = ChannelGroup(group.root, group.channels, group.layers, tuple(c for c in group.cuts if c.side == "outputs"))
    assert not holds(model, unread, inputs_of(x[:1]))
    model.get_submodule("2.second").weight = model.get_submodule("1.second").weight = nn.Parameter(
        torch.randn(8, 8, 3, 3)
    )
    assert not holds(model, group, inputs_of(x[:1]))


def test_channels_that_do_nothing_go_first() -> None:
    model, x = residual()
    groups, _ = channel_groups(model, inputs_of(x[:1]))
    name, group = "channels of 1.first", channel_groups(model, inputs_of(x[:1]))[0]["channels of 1.first"]
    with torch.no_grad():
        model.get_submodule("1.second").weight[:, [2, 5]] = 0

    def losses(network: nn.Module) -> Iterator[torch.Tensor]:
        yield from (network(part).square().mean() for part in x.split(3))

    ranked = rank_channels(model, groups, inputs_of(x[:1]), losses)[name]
    assert set(ranked.order[-2:]) == {2, 5}
    assert sorted(ranked.order) == list(range(group.channels))
    torch.testing.assert_close(compress(model, {name: ranked}, {name: keep(6)})(x), model(x), rtol=1e-4, atol=1e-5)


def test_only_what_lost_channels_is_trained_afterwards() -> None:
    model, x = residual()
    name, group = next(iter(channel_groups(model, inputs_of(x[:1]))[0].items()))
    narrowed = compress(model, {name: _shuffled(group)}, {name: keep(3)})
    trained = {place.rpartition(".")[0] for place, value in narrowed.named_parameters() if value.requires_grad}
    assert trained == {"1.first", "1.norm1", "1.second"}
    assert all(value.requires_grad for value in model.parameters())


def _values(model: nn.Module) -> int:
    return sum(value.numel() for value in model.parameters())
