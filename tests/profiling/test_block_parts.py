"""What a residual block that is gone costs: as much less as its layers, in the choice that it leaves to them."""

import pytest
import torch
from torch import nn

from toolkit.choice import DENSE, REMOVED, Choice, all_dense, keep
from toolkit.compression import channel_groups, compressible_layers, residual_blocks
from toolkit.inputs import inputs_of
from toolkit.profiling import (
    ONLY_FP32,
    Arithmetics,
    Measurement,
    MemoryModel,
    Profile,
    WholeModel,
    block_part,
    cost_table,
    group_part,
    input_shapes,
    layer_part,
    variants_of,
)
from toolkit.profiling.profile import DeviceIdentity
from toolkit.runtimes.arithmetic import FP32, Arithmetic

INT8: Arithmetics = {"fp32": FP32, "int8": Arithmetic("int8", "signed")}


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(8, 16, 3, padding=1), nn.Conv2d(16, 8, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.second(torch.relu(self.first(x))))


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 1), Block(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 6)).eval()


MODEL, X = network(), torch.randn(1, 3, 8, 8)
LAYERS = compressible_layers(MODEL, inputs_of(X))
SHAPES = input_shapes(MODEL, LAYERS, inputs_of(X))
[BLOCK] = residual_blocks(MODEL, inputs_of(X))[0].values()


def costs_in(arithmetics: Arithmetics, call_ms: float = 0.0):
    """Every program with a time of its own."""
    parts = {name: layer_part(name, layer, SHAPES[name], 8, arithmetics) for name, layer in LAYERS.items()}
    groups = channel_groups(MODEL, inputs_of(X))[0].values()
    parts |= {group.name: group_part(MODEL, group, inputs_of(X), 8, arithmetics) for group in groups}
    parts[BLOCK.name] = block_part(BLOCK, LAYERS, SHAPES, arithmetics)
    rows = {
        key: Measurement(median_ms=1 + 0.1 * place, p95_ms=1 + 0.1 * place, min_ms=1.0, runs=10, warmups=1, load_ms=1.0)
        for place, key in enumerate(variants_of(parts.values()))
    }
    device = DeviceIdentity(machine="m", cpu=None, cores=1, ram_bytes=None, kernel="k", libc=None, board=None)
    empty = Profile(family="t", device=device, runtime="onnxruntime", runtime_version="1", threads=1, clock="wall")
    dense = WholeModel(
        Measurement(median_ms=50.0, p95_ms=50.0, min_ms=50.0, runs=10, warmups=1, load_ms=1.0), 2 * 10**6, 20_000
    )
    memory = MemoryModel(1e6, 1.0)
    return cost_table(parts, empty.with_rows(rows, {}), dense, memory, arithmetics=arithmetics, call_ms=call_ms)


@pytest.mark.parametrize(("arithmetics", "precision"), [(ONLY_FP32, "fp32"), (INT8, "int8")])
def test_without_the_block_the_model_takes_what_its_layers_took_less(arithmetics: Arithmetics, precision: str) -> None:
    costs = costs_in(arithmetics)
    left = Choice(precision=precision)
    chosen = all_dense(costs.parts).but(dict.fromkeys(LAYERS, left))
    without = chosen.but({BLOCK.name: Choice("removed", precision=precision)})
    assert costs.allows(without)
    gone = [costs.parts[name][left] for name in BLOCK.layers]
    assert costs.latency_ms(chosen) - costs.latency_ms(without) == pytest.approx(sum(each.latency_ms for each in gone))
    assert costs.size_bytes(chosen) - costs.size_bytes(without) == sum(each.weight_bytes for each in gone)


@pytest.mark.parametrize(("arithmetics", "precision"), [(ONLY_FP32, "fp32"), (INT8, "int8")])
def test_nothing_else_is_chosen_for_what_is_gone(arithmetics: Arithmetics, precision: str) -> None:
    costs = costs_in(arithmetics)
    left = dict.fromkeys(BLOCK.layers, Choice(precision=precision))
    without = all_dense(costs.parts).but({**left, BLOCK.name: Choice("removed", precision=precision)})
    assert costs.allows(without)
    for name in BLOCK.layers:
        for choice in costs.parts[name]:
            assert costs.allows(without.but({name: choice})) == (choice == left[name])
    inside = f"channels of {BLOCK.root}"
    assert not costs.allows(without.but({inside: keep(8)}))
    assert costs.allows(without.but({"4": list(costs.parts["4"])[-1]})), "other layers are free"


def test_with_a_layer_goes_no_call() -> None:
    """Each was timed alone, by a call of its own; the network without it is called as often as with it."""
    plain, less_calls = costs_in(ONLY_FP32).parts[BLOCK.name], costs_in(ONLY_FP32, call_ms=0.25).parts[BLOCK.name]
    assert less_calls[REMOVED].latency_ms == pytest.approx(plain[REMOVED].latency_ms + 2 * 0.25)


def test_layers_that_cannot_be_chosen_stay_in_the_rest() -> None:
    part = block_part(BLOCK, {"1.first": LAYERS["1.first"]}, SHAPES)
    assert list(part.pieces[DENSE]) == list(part.decides) == ["1.first"]
    assert part.pieces[REMOVED] == {}
