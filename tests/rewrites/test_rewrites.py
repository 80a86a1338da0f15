"""Layers of other kinds answer what they did as the kinds that become compact."""

from typing import Any

import pytest
import torch
from torch import nn

from toolkit.compression import compressible_layers
from toolkit.inputs import inputs_of
from toolkit.rewrites import rewrite
from toolkit.rewrites.attention import Attention
from toolkit.rewrites.convolution import FlatConv
from toolkit.surroundings import look_like

_CONVOLUTIONS: dict[str, dict[str, Any]] = {
    "plain": {"kernel_size": 5},
    "stride": {"kernel_size": 3, "stride": 2, "padding": 1},
    "dilation": {"kernel_size": 3, "dilation": 4, "padding": 4},
    "same": {"kernel_size": 4, "padding": "same"},
    "circular": {"kernel_size": 3, "padding": 1, "padding_mode": "circular"},
    "reflect": {"kernel_size": 3, "padding": 1, "padding_mode": "reflect"},
    "depthwise": {"kernel_size": 3, "groups": 4},
    "no bias": {"kernel_size": 3, "bias": False},
}


@pytest.mark.parametrize("name", _CONVOLUTIONS)
@torch.no_grad()
def test_convolutions_over_time_are_images_one_pixel_high(name: str) -> None:
    torch.manual_seed(0)
    conv = nn.Conv1d(4, 8, **_CONVOLUTIONS[name])
    flat = FlatConv(conv)
    for x in (torch.randn(3, 4, 17), torch.randn(4, 17)):
        torch.testing.assert_close(flat(x), conv(x), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(flat(input=x), conv(x), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(flat.weight, conv.weight)
    assert (flat.bias is None) == (conv.bias is None)


def _attends(**how: Any) -> tuple[nn.MultiheadAttention, Attention]:
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(8, 2, **how).eval()
    for bias in (attention.in_proj_bias, attention.out_proj.bias):
        if bias is not None:
            nn.init.normal_(bias)  # zeros as they are made
    rewritten = Attention(attention)
    look_like(attention, rewritten)
    return attention, rewritten


_PADDED = torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
_CAUSAL = nn.Transformer.generate_square_subsequent_mask(5)
_MASKS: dict[str, dict[str, Any]] = {
    "none": {},
    "padding": {"key_padding_mask": _PADDED},
    "padding in numbers": {"key_padding_mask": torch.zeros(2, 5).masked_fill(_PADDED, float("-inf"))},
    "causal": {"attn_mask": _CAUSAL},
    "causal, said so": {"attn_mask": _CAUSAL, "is_causal": True},
    "causal in booleans": {"attn_mask": _CAUSAL < 0},
    "of each head": {"attn_mask": torch.randn(4, 5, 5, generator=torch.Generator().manual_seed(0))},
    "both": {"attn_mask": _CAUSAL, "key_padding_mask": torch.zeros(2, 5).masked_fill(_PADDED, float("-inf"))},
}


@pytest.mark.parametrize("mask", _MASKS)
@pytest.mark.parametrize("how", [{"batch_first": True}, {"batch_first": False}, {"batch_first": True, "bias": False}])
@pytest.mark.parametrize("weights", ["none", "mean", "each"])
@torch.no_grad()
def test_attention_with_projections_of_its_own(mask: str, how: dict[str, Any], weights: str) -> None:
    attention, rewritten = _attends(**how)
    x, memory = torch.randn(2, 5, 8), torch.randn(2, 5, 8)
    if not how["batch_first"]:
        x, memory = x.transpose(0, 1), memory.transpose(0, 1)
    asked = {"need_weights": weights != "none", "average_attn_weights": weights == "mean", **_MASKS[mask]}
    for inputs in ((x, x, x), (x, memory, memory)):
        answer, weighed = rewritten(*inputs, **asked)
        expected, expected_weights = attention(*inputs, **asked)
        torch.testing.assert_close(answer, expected, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(weighed, expected_weights, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_attention_without_a_batch() -> None:
    attention, rewritten = _attends()
    x = torch.randn(5, 8)
    torch.testing.assert_close(rewritten(x, x, x), attention(x, x, x), atol=1e-5, rtol=1e-5)


class Conv1D(nn.Module):
    """As `transformers.pytorch_utils` has it."""

    __module__ = "transformers.pytorch_utils"

    def __init__(self, nf: int, nx: int) -> None:
        super().__init__()
        self.nf, self.nx = nf, nx
        self.weight, self.bias = nn.Parameter(torch.randn(nx, nf)), nn.Parameter(torch.randn(nf))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.addmm(self.bias, x, self.weight)


class Causal(nn.Conv1d):
    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(nn.functional.pad(input, (2, 0)))


def _model() -> nn.Sequential:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    return nn.Sequential(nn.Conv1d(3, 4, 3), Causal(4, 8, 3), _Turn(), encoder, _Mean(), Conv1D(6, 8)).eval()


class _Turn(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.transpose(1, 2)


class _Mean(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(1)


@torch.no_grad()
def test_a_model_is_rewritten_whole_and_its_subclasses_stay() -> None:
    model, x = _model(), torch.randn(2, 3, 9)
    rewritten = rewrite(model, inputs_of(x))
    torch.testing.assert_close(rewritten(x), model(x), atol=1e-4, rtol=1e-4)
    projections = ("query", "key", "value", "out_proj")
    found = compressible_layers(rewritten, inputs_of(x[:1]))
    assert {f"3.layers.{index}.self_attn.{name}" for index in range(2) for name in projections} <= set(found)
    assert {"0.conv", "5"} <= set(found)
    assert isinstance(rewritten[1], Causal)  # type: ignore[index]
    assert rewritten[5].nf == 6  # type: ignore[index]


@torch.no_grad()
def test_the_layers_of_a_gpt2_become_linear() -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    model = transformers.GPT2Model(transformers.GPT2Config(vocab_size=9, n_embd=16, n_layer=1, n_head=2)).eval()

    class Vectors(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.model(inputs_embeds=x).last_hidden_state.mean(1)

    network, x = Vectors().eval(), torch.randn(2, 5, 16)
    rewritten = rewrite(network, inputs_of(x))
    torch.testing.assert_close(rewritten(x), network(x), atol=1e-4, rtol=1e-4)
    kinds = {name.rpartition("h.0.")[2] for name in compressible_layers(rewritten, inputs_of(x[:1]))}
    assert kinds == {"attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"}


def test_what_answers_otherwise_stays_as_it_is() -> None:
    class Asks(nn.Sequential):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) * (1 if isinstance(self[0], nn.Conv1d) else 2)

    model = Asks(nn.Conv1d(3, 4, 3), nn.Flatten(), nn.Linear(28, 2)).eval()
    assert rewrite(model, inputs_of(torch.randn(2, 3, 9))) is model
    touched = nn.Sequential(nn.Conv1d(3, 4, 3), nn.Flatten(), nn.Linear(28, 2)).eval()
    touched[0].register_forward_hook(lambda _, __, output: -output)
    assert rewrite(touched, inputs_of(torch.randn(2, 3, 9))) is touched


@torch.no_grad()
def test_a_layer_with_two_names_stays_one() -> None:
    conv = nn.Conv1d(4, 4, 3, padding=1)
    model = nn.Sequential(conv, nn.ReLU(), conv, nn.Flatten(), nn.Linear(36, 2)).eval()
    rewritten = rewrite(model, inputs_of(torch.randn(2, 4, 9)))
    assert rewritten[0] is rewritten[2]  # type: ignore[index]
