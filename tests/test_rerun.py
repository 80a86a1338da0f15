"""Networks that differ from one in some modules compute the same from there on, and nothing before."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from toolkit.distillation import estimate_statistics
from toolkit.inputs import Inputs, inputs_of
from toolkit.rerun import Known


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.again, self.last = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.last(self.again(torch.relu_(self.norm(self.conv(x)))))
        y += x
        return y.relu_()


class Network(nn.Module):
    """Writes into what its modules put out; `twice` runs twice, `scale` is in no module below."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.blocks = nn.Sequential(*[Block() for _ in range(8)])
        self.twice, self.scale = nn.Linear(4, 4), nn.Parameter(torch.ones(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.blocks(self.norm(self.stem(x)).mul_(2))
        return self.twice(torch.tanh(self.twice(x.mean((2, 3))))) * self.scale


def at_the_end(network: Network) -> None:
    network.get_parameter("blocks.7.again.weight").data *= 2


def in_the_middle(network: Network) -> None:
    network.blocks[4].conv = nn.Sequential(nn.Conv2d(4, 2, 3, padding=1), nn.Conv2d(2, 4, 1))


def without_a_block(network: Network) -> None:
    network.blocks[3] = nn.Identity()


def of_another_forward(network: Network) -> None:
    network.blocks[5].forward = lambda x: -x


def at_once(network: Network) -> None:
    network.get_parameter("stem.bias").data += 1


def twice(network: Network) -> None:
    network.get_parameter("twice.weight").data *= 2


def at_the_top(network: Network) -> None:
    network.scale.data *= 2


CHANGES: dict[Callable[[Network], None], int] = {  # of 17 convolutions, those that run before what changed
    at_the_end: 15,
    in_the_middle: 9,
    without_a_block: 7,
    of_another_forward: 11,
    at_once: 0,
    twice: 0,
    at_the_top: 0,
}


@pytest.mark.parametrize("trained", [False, True], ids=["", "with statistics of its own"])
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_only_what_follows_a_change_is_computed(change: Callable[[Network], None], trained: bool) -> None:
    dense, x = Network().eval(), _images(300)
    changed = copy.deepcopy(dense)
    change(changed)
    expected = copy.deepcopy(changed)
    seen, judged = Known(dense, len(x)), Known(dense, len(x))
    if trained:
        estimate_statistics(dense, x, seen.record)
        estimate_statistics(expected, x)
    with torch.no_grad():
        for _ in range(2):  # what was recorded is not written into
            again = copy.deepcopy(changed)
            batches = list(enumerate(x.split(100)))
            for number, batch in batches:
                judged.record(dense, number, batch)
            if trained:
                estimate_statistics(again, x, seen.call)
            with _Computed() as computed:
                found = torch.cat([judged.call(again, number, batch) for number, batch in batches])
            assert torch.equal(found, torch.cat([expected(*batch) for _, batch in batches]))
            total = sum(isinstance(each, nn.Conv2d) for each in again.modules())
            assert computed.count == len(batches) * (total - CHANGES[change] - _unused(change))


def test_the_first_outputs_are_kept_where_memory_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    dense, x = Network().eval(), _images(100)
    stem = 4 * 4 * 14 * 14 * len(x)  # bytes of its outputs, as of any block's
    monkeypatch.setattr("toolkit.rerun._MOST_BYTES", 3 * stem)
    known = Known(dense, len(x))
    with torch.no_grad():
        for number, batch in enumerate(x.split(50)):
            known.record(dense, number, batch)
        changed = copy.deepcopy(dense)
        at_the_end(changed)
        with _Computed() as computed:
            known.call(changed, 0, x[:50])
    assert computed.count == 17 - 1 - 2  # the stem and one block


def _images(count: int) -> Inputs:
    return inputs_of(torch.randn(count, 3, 16, 16, generator=torch.Generator().manual_seed(0)))


class _Computed(TorchFunctionMode):
    """Counts the convolutions that are computed inside."""

    count = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func is torch.conv2d
        return func(*args, **(kwargs or {}))


def _unused(change: Callable[[Network], None]) -> int:
    return 2 if change is of_another_forward else 0
