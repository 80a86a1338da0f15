"""A compact layer is three plain modules that fold into two, and any rank is the prefix of a larger one."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from toolkit.compression import CompactConv2d, break_even_rank, build_compact, matrix
from toolkit.compression.layers import Factors

_CONVOLUTIONS: dict[str, dict[str, Any]] = {
    "stride": {"kernel_size": 3, "stride": 2},
    "dilation": {"kernel_size": 3, "dilation": 2, "padding": 2},
    "uneven": {"kernel_size": (1, 3), "stride": (2, 1), "padding": (0, 1)},
    "same": {"kernel_size": 4, "padding": "same"},
    "valid": {"kernel_size": 3, "padding": "valid"},
    "reflect": {"kernel_size": 3, "padding": 1, "padding_mode": "reflect"},
    "circular": {"kernel_size": 3, "padding": "same", "padding_mode": "circular"},
    "no bias": {"kernel_size": 3, "bias": False},
}


def _layers() -> dict[str, tuple[nn.Linear | nn.Conv2d, torch.Tensor]]:
    torch.manual_seed(0)
    tokens, image = torch.randn(2, 5, 6), torch.randn(2, 3, 9, 8)
    convolutions = {name: (nn.Conv2d(3, 7, **how), image) for name, how in _CONVOLUTIONS.items()}
    return {
        "linear": (nn.Linear(6, 5), tokens),
        "linear no bias": (nn.Linear(6, 5, bias=False), tokens),
        **convolutions,
    }


def _svd(layer: nn.Linear | nn.Conv2d, rank: int) -> Factors:
    """The best rank-r factors, with a core that is not diagonal."""
    u, s, vh = torch.linalg.svd(matrix(layer), full_matrices=False)
    turn = torch.linalg.qr(torch.randn(rank, rank)).Q
    return Factors(u[:, :rank] @ turn, turn.T @ torch.diag(s[:rank]), vh[:rank].T)


@pytest.mark.parametrize("name", _layers())
@torch.no_grad()
def test_full_rank_factors_reproduce_the_layer(name: str) -> None:
    layer, x = _layers()[name]
    compact = build_compact(layer, _svd(layer, min(matrix(layer).shape)))
    torch.testing.assert_close(compact(x), layer(x), atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("name", _layers())
@torch.no_grad()
def test_fold_computes_what_forward_computes(name: str) -> None:
    layer, x = _layers()[name]
    compact = build_compact(layer, _svd(layer, 3))
    folded = compact.fold()
    torch.testing.assert_close(folded(x), compact(x), atol=1e-5, rtol=1e-5)
    m, n = matrix(layer).shape
    assert sum(p.numel() for name, p in folded.named_parameters() if "weight" in name) == 3 * (m + n)


@pytest.mark.parametrize("name", _layers())
@torch.no_grad()
def test_truncate_keeps_a_prefix_of_bases_and_core(name: str) -> None:
    layer, x = _layers()[name]
    compact = build_compact(layer, _svd(layer, 4))
    smaller = compact.truncate(2)
    kept = build_compact(
        layer,
        Factors(
            compact.up.weight.flatten(1)[:, :2],
            compact.core.weight.flatten(1)[:2, :2],
            compact.down.weight.flatten(1)[:2].T,
        ),
    )
    assert smaller.rank == 2
    torch.testing.assert_close(smaller(x), kept(x))
    with pytest.raises(ValueError, match="rank 5 is not a prefix of rank 4"):
        compact.truncate(5)


def test_only_the_core_trains() -> None:
    for layer, _ in _layers().values():
        for compact in (build_compact(layer, _svd(layer, 3)), build_compact(layer, _svd(layer, 3)).truncate(2)):
            trains = [name for name, parameter in compact.named_parameters() if parameter.requires_grad]
            assert trains == ["core.weight"]


def test_a_compact_layer_keeps_the_mode_of_its_model() -> None:
    layer = nn.Linear(4, 4).eval()
    compact = build_compact(layer, _svd(layer, 2))
    assert not compact.training
    assert not compact.truncate(1).training


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 40))
def test_break_even_is_the_last_rank_that_holds_fewer_weights(m: int, n: int) -> None:
    rank = break_even_rank(nn.Linear(n, m))
    assert rank * (m + n) < m * n or rank == 0
    assert (rank + 1) * (m + n) >= m * n


def test_a_convolution_counts_its_unfolded_inputs() -> None:
    conv = nn.Conv2d(3, 8, (5, 2))
    assert matrix(conv).shape == (8, 30)
    assert CompactConv2d(conv, 2).down.weight.shape == (2, 3, 5, 2)


@pytest.mark.parametrize("name", _layers())
@torch.no_grad()
def test_what_reads_a_layer_finds_what_it_was(name: str) -> None:
    """Hugging Face's ViT reads the dtype of a weight, its MobileNetV2 a stride; others multiply by the weight."""
    layer, _ = _layers()[name]
    layer.is_last = True  # type: ignore[assignment]
    compact = build_compact(layer, _svd(layer, min(matrix(layer).shape)))
    sizes = {key: value for key, value in vars(layer).items() if key != "training" and not key.startswith("_")}
    for stands_in in (compact, compact.fold(), compact.truncate(compact.rank), compact.truncate(2).fold()):
        assert sizes.items() <= vars(stands_in).items()
        assert (stands_in.weight.dtype, stands_in.weight.shape) == (layer.weight.dtype, layer.weight.shape)
    for stands_in in (compact, compact.fold()):
        torch.testing.assert_close(stands_in.weight, layer.weight, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(stands_in.bias, torch.zeros(len(layer.weight)) if layer.bias is None else layer.bias)
