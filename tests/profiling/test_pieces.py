"""What layers that lost channels cost: as dense layers of other shapes, and as the difference that they make."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from toolkit.choice import DENSE, Choice, all_dense, keep
from toolkit.compression import channel_groups, compressible_layers
from toolkit.inputs import inputs_of
from toolkit.profiling import (
    Measurement,
    MemoryModel,
    Profile,
    WholeModel,
    cost_table,
    fixed_part,
    group_part,
    input_shapes,
    layer_part,
    variants_of,
    with_overheads,
)
from toolkit.profiling.active import necessary, spread
from toolkit.profiling.estimate import estimate
from toolkit.profiling.predictor import fit_predictor
from toolkit.profiling.profile import DeviceIdentity
from toolkit.profiling.signature import signature_of
from toolkit.runtimes.arithmetic import FP32, Arithmetic
from toolkit.targets import Datasheet

MULTIPLE = 8


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, 2, 1, groups=32),
        nn.ReLU(),
        nn.Conv2d(32, 24, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    ).eval()


MODEL, X = network(), torch.randn(1, 3, 8, 8)
LAYERS = compressible_layers(MODEL, inputs_of(X))
SHAPES = input_shapes(MODEL, LAYERS, inputs_of(X))
SHAPES_OF_ALL = input_shapes(MODEL, ("0", "3", "5"), inputs_of(X))
[GROUP] = channel_groups(MODEL, inputs_of(X))[0].values()
PARTS = {name: layer_part(name, layer, SHAPES[name], MULTIPLE) for name, layer in LAYERS.items()}
PARTS[GROUP.name] = group_part(MODEL, GROUP, inputs_of(X), MULTIPLE)
PIECES = PARTS[GROUP.name].pieces
VARIANTS = variants_of(PARTS.values())


def measured(ms: float) -> Measurement:
    return Measurement(median_ms=ms, p95_ms=ms, min_ms=ms, runs=10, warmups=1, load_ms=1.0)


def profile_of(rows: dict[str, Measurement]) -> Profile:
    device = DeviceIdentity(machine="m", cpu=None, cores=1, ram_bytes=None, kernel="k", libc=None, board=None)
    made = Profile(family="t", device=device, runtime="onnxruntime", runtime_version="1", threads=1, clock="wall")
    return made.with_rows(rows, {})


def timed() -> dict[str, Measurement]:
    """Every distinct program, each with a time of its own."""
    return {key: measured(1.0 + 0.1 * place) for place, key in enumerate(VARIANTS)}


def table(profile: Profile):
    dense = WholeModel(measured(5.0), 2_000_000, 20_000)
    return cost_table(PARTS, profile, dense, MemoryModel(1e6, 1.0))


def test_pieces_are_the_layers_of_the_narrowed_network() -> None:
    assert list(PIECES) == [DENSE, keep(8), keep(16), keep(24)]
    widths = {name: piece.layer.weight.shape[:2] for name, piece in PIECES[keep(8)].items()}
    assert widths == {"0": (8, 3), "3": (8, 1), "5": (24, 8)}
    assert {name: piece.input_shape for name, piece in PIECES[keep(8)].items()} == {
        "0": (1, 3, 8, 8),
        "3": (1, 8, 8, 8),
        "5": (1, 8, 4, 4),
    }


def test_a_group_costs_the_difference_of_its_layers_and_excludes_only_those_that_could_be_compact() -> None:
    rows = timed()
    costs = table(profile_of(rows))

    def ms(choice: Choice) -> float:
        pieces = PIECES[choice].values()
        return sum(rows[str(signature_of(piece.layer, piece.input_shape, DENSE))].median_ms for piece in pieces)

    row = costs.parts[GROUP.name]
    assert (row[DENSE].latency_ms, row[DENSE].weight_bytes) == (0.0, 0)
    for kept in (8, 16, 24):
        assert row[keep(kept)].latency_ms == pytest.approx(ms(keep(kept)) - ms(DENSE))
        assert row[keep(kept)].weight_bytes == -4 * (32 - kept) * (3 * 9 + 9 + 1 + 24)  # the depthwise layer has a bias
        assert row[keep(kept)].source == "measured"
    assert [pair.parts for pair in costs.conflicts] == [(GROUP.name, "0"), (GROUP.name, "5")]
    assert not costs.allows({**all_dense(costs.parts), GROUP.name: keep(8), "5": list(costs.parts["5"])[1]})
    assert costs.latency_ms(all_dense(costs.parts)) == pytest.approx(5.0)


def test_a_group_is_cut_in_the_precision_of_its_layers() -> None:
    """Timed in int8 against the same layers whole in int8, and only together with those."""
    both = {"fp32": FP32, "int8": Arithmetic("int8", "signed")}
    parts = {name: layer_part(name, layer, SHAPES[name], MULTIPLE, both) for name, layer in LAYERS.items()}
    parts["3"] = fixed_part("3", MODEL[3], SHAPES_OF_ALL["3"], both)
    parts[GROUP.name] = group_part(MODEL, GROUP, inputs_of(X), MULTIPLE, both)
    rows = {key: measured(1.0 + 0.1 * place) for place, key in enumerate(variants_of(parts.values()))}
    dense = WholeModel(measured(5.0), 2_000_000, 20_000)
    costs = cost_table(parts, profile_of(rows), dense, MemoryModel(1e6, 1.0), arithmetics=both)

    def ms(choice: Choice, dense: Choice) -> float:
        pieces = parts[GROUP.name].pieces[choice].values()
        form = both[dense.precision]
        return sum(rows[str(signature_of(each.layer, each.input_shape, dense, form))].median_ms for each in pieces)

    cut, int8 = keep(8, "int8"), Choice(precision="int8")
    assert costs.parts[GROUP.name][cut].latency_ms == pytest.approx(ms(cut, int8) - ms(DENSE, int8))
    everything = {**dict.fromkeys(("0", "3", "5"), int8), GROUP.name: cut}
    assert costs.allows(everything)
    assert not costs.allows({**everything, "5": DENSE})
    assert not costs.allows({**everything, GROUP.name: keep(8)})
    assert costs.size_bytes(everything) < costs.size_bytes({**everything, GROUP.name: DENSE})


def test_layers_that_take_longer_alone_than_all_of_the_network_are_charged_less() -> None:
    rows = timed()
    whole = WholeModel(measured(1.5), 2_000_000, 20_000)
    costs = cost_table(PARTS, profile_of(rows), whole, MemoryModel(1e6, 1.0))
    alone = {name: rows[str(signature_of(layer, SHAPES[name], DENSE))].median_ms for name, layer in LAYERS.items()}
    share = 1.5 / sum(alone.values())
    assert share < 1
    assert costs.rest_latency_ms == pytest.approx(0.0)
    for name, row in costs.parts.items():
        for choice, cost in row.items():
            assert cost.latency_ms == pytest.approx(share * table(profile_of(rows)).parts[name][choice].latency_ms)


def test_what_was_not_timed_is_predicted_and_said_so() -> None:
    rows = timed()
    gone = str(signature_of(PIECES[keep(16)]["3"].layer, PIECES[keep(16)]["3"].input_shape, DENSE))
    kept = profile_of({key: row for key, row in rows.items() if key != gone})
    assert fit_predictor(kept.rows) is not None
    cost = table(kept).parts[GROUP.name][keep(16)]
    assert cost.source == "predicted"
    assert cost.latency_std_ms > 0


def test_narrowed_layers_need_not_be_timed() -> None:
    narrowed = {key for key, variant in VARIANTS.items() if variant.narrowed}
    assert len(narrowed) == 9
    timed_first = spread(VARIANTS)
    whole = [key for key in timed_first if key not in narrowed]
    assert timed_first[: len(whole)] == whole
    assert len(timed_first) == max(8, len(whole))  # what a predictor needs
    assert necessary(VARIANTS) == 8


def test_a_depthwise_layer_is_estimated_by_what_it_computes() -> None:
    sheet = Datasheet(peak_gflops_fp32=1e-3, cores=2, memory_bandwidth_gb_s=1e6, ram_bytes=1, sources=("test",))
    piece = PIECES[DENSE]["3"]
    row = estimate(signature_of(piece.layer, piece.input_shape, DENSE), sheet, 2)
    assert row.median_ms == pytest.approx(2 * 16 * 32 * 9 / 1e3)  # 16 pixels, 32 channels, 9 weights each; 1 MFLOP/s
    halved = estimate(signature_of(piece.layer, piece.input_shape, DENSE), sheet, 1)
    assert halved.median_ms == pytest.approx(2 * row.median_ms)  # one of two cores


def test_what_graphs_hold_besides_weights_is_not_added_to_channels() -> None:
    costs = table(profile_of(timed()))
    rank = next(choice for choice in costs.parts["5"] if choice != DENSE)
    compact = {**all_dense(costs.parts), "5": rank}
    cut = {**all_dense(costs.parts), GROUP.name: keep(8)}
    whole = WholeModel(measured(4.0), 1_000_000, 0)
    wholes = [(each, replace(whole, size_bytes=costs.size_bytes(each) + 700)) for each in (compact, cut)]
    sized = with_overheads(costs, wholes)
    assert sized.size_bytes(compact) == costs.size_bytes(compact) + 700
    assert sized.parts[GROUP.name] == costs.parts[GROUP.name]
