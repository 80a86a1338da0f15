"""Blocks are what a graph can do without, whatever their modules are called."""

import copy
import importlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from residual_networks import NETWORKS, build
from tools import absent
from torch import nn

from toolkit.compression.depth import remove_block, residual_blocks
from toolkit.errors import BadInput
from toolkit.inputs import inputs_of


@pytest.mark.parametrize("name", NETWORKS)
def test_blocks_that_can_go_are_offered_and_no_others(name: str) -> None:
    network = build(name)
    blocks, failed = residual_blocks(network.model, inputs_of(network.x[:1]))
    assert tuple(block.root for block in blocks.values()) == network.offered
    assert failed == network.failed
    assert list(blocks) == [f"block of {root}" for root in network.offered]


def test_a_block_holds_the_layers_that_run_in_its_branch() -> None:
    network = build("digits")
    blocks, _ = residual_blocks(network.model, inputs_of(network.x[:1]))
    assert blocks["block of blocks.0.qkv"].layers == ("blocks.0.qkv", "blocks.0.proj")
    assert [each.module for each in blocks["block of blocks.0.fc1"].gone] == [
        "blocks.0.norm2",
        "blocks.0.fc1",
        "blocks.0.fc2",
    ]


def test_branches_that_start_at_zero_are_found_and_checked() -> None:
    """Networks are trained from the identity: without noise, any branch could go."""
    for name in ("bottleneck", "half_of_modules"):
        network = build(name)
        for parameter in network.model.parameters():
            nn.init.zeros_(parameter)
        blocks, failed = residual_blocks(network.model, inputs_of(network.x[:1]))
        assert tuple(block.root for block in blocks.values()) == network.offered
        assert failed == network.failed


def test_the_network_is_left_as_it_is() -> None:
    network = build("bottleneck")
    before = copy.deepcopy(network.model.state_dict())
    residual_blocks(network.model, inputs_of(network.x[:1]))
    torch.testing.assert_close(network.model.state_dict(), before, rtol=0, atol=0)


def test_a_forward_that_cannot_be_traced_is_bad_input() -> None:
    class Branches(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(BadInput, match="cannot trace"):
        residual_blocks(Branches(), inputs_of(torch.ones(1, 3)))


class Step(nn.Module):
    """One of the ways in which blocks are written, with a switch that multiplies its branch by zero."""

    def __init__(self, kind: str, activation: str, channels: int) -> None:
        super().__init__()
        self.kind, self.activation, self.zeroed = kind, activation, False
        self.first, self.norm = nn.Conv2d(channels, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.second, self.shortcut = nn.Conv2d(6, channels, 1), nn.Conv2d(channels, channels, 1)
        self.act = {"none": nn.Identity(), "new": nn.ReLU(), "in place": nn.ReLU(inplace=True)}[activation]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.second(self.act(self.norm(self.first(x))))
        y = y * 0 if self.zeroed else y
        if self.kind == "in place":
            y += x
        elif self.kind == "scaled":
            y = torch.add(x, 0.3 * y)
        elif self.kind == "projected":
            y = self.shortcut(x) + y
        elif self.kind == "plain":
            y = x + y
        return self.act(y)


STEPS = st.tuples(
    st.sampled_from(("plain", "in place", "scaled", "projected", "chain")), st.sampled_from(("none", "new", "in place"))
)


@settings(max_examples=12)
@given(st.lists(STEPS, min_size=1, max_size=4), st.data())
def test_a_stack_without_some_blocks_computes_what_it_does_with_zeros_for_them(
    steps: list[tuple[str, str]], data: st.DataObject
) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 1), *(Step(*step, 4) for step in steps), nn.Flatten()).eval()
    x = torch.randn(3, 3, 6, 6)
    blocks, failed = residual_blocks(model, inputs_of(x[:1]))
    places = [place for place, (kind, _) in enumerate(steps, 1) if kind in ("plain", "in place", "scaled")]
    assert [block.root for block in blocks.values()] == [f"{place}.first" for place in places]
    assert failed == ()
    chosen = data.draw(st.sets(st.sampled_from(places))) if places else set()
    removed = copy.deepcopy(model)
    for place in chosen:
        remove_block(removed, blocks[f"block of {place}.first"])
        model[place].zeroed = True  # type: ignore[assignment]
    torch.testing.assert_close(removed(x), model(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "roots"),
    [
        ("vit", ("attention.q_proj", "mlp.fc1")),
        ("bert", ("attention.self.query", "intermediate.dense")),
    ],
)
def test_sub_blocks_of_hugging_face_models_can_go(kind: str, roots: tuple[str, ...]) -> None:
    try:
        transformers = importlib.import_module("transformers")
    except ImportError:
        absent("NO TRANSFORMERS: blocks of Hugging Face models NOT tested; pip install -e '.[text]'")
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    if kind == "vit":
        model = transformers.ViTForImageClassification(transformers.ViTConfig(image_size=16, patch_size=8, **sizes))
        x = torch.randn(2, 3, 16, 16)
    else:
        model = transformers.BertForSequenceClassification(transformers.BertConfig(vocab_size=50, **sizes))
        x = torch.randint(1, 50, (2, 6)).float()

    class Logits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.model(x if kind == "vit" else x.long()).logits

    network = Logits().eval()
    blocks, failed = residual_blocks(network, inputs_of(x[:1]))
    assert [block.root.partition(f".{index // 2}.")[2] for index, block in enumerate(blocks.values())] == [*roots] * 2
    assert failed == ()
    removed = copy.deepcopy(network)
    for block in blocks.values():
        remove_block(removed, block)
    assert removed(x).shape == network(x).shape
