"""A varied batch keeps its shape, and what a variation may not change."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toolkit.augmentation import Augmentation, parse_augmentation
from toolkit.distillation import augment_for
from toolkit.errors import BadInput
from toolkit.inputs import Inputs, inputs_of


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _varied(augmentation: Augmentation | None, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return augment_for(augmentation, inputs_of(x))(inputs_of(x), generator).tensors["x"]


@given(height=st.integers(1, 40), width=st.integers(1, 40), seed=st.integers(0, 2**31))
def test_a_shifted_image_is_the_old_one_moved_by_an_eighth_at_most(height: int, width: int, seed: int) -> None:
    x = torch.stack(torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij"))[None].float()
    shifted = _varied(("shift",), x, _generator(seed))
    assert shifted.shape == x.shape
    for axis, size in ((0, height), (1, width)):
        moved = (shifted[0, axis] - x[0, axis]).abs()
        assert moved.max() <= -(-size // 8)
        assert 0 <= shifted[0, axis].min() <= shifted[0, axis].max() <= size - 1


def test_images_are_moved_each_on_its_own() -> None:
    x = torch.arange(32.0).expand(64, 1, 32, 32)
    offsets = _varied(("shift",), x, _generator())[:, 0, 16, 16] - 16
    assert set(offsets.tolist()) == set(range(-4, 5))


def test_a_crop_is_zero_where_nothing_was() -> None:
    x = 5.0 + torch.rand(64, 3, 16, 16, generator=_generator())
    cropped = _varied(("crop",), x, _generator(1))
    moved = _varied(("shift",), x, _generator(1))
    outside = cropped != moved
    assert outside.any()
    assert not cropped[outside].any()
    assert not outside[:, :, 2:-2, 2:-2].any(), "by an eighth at most"


def test_half_of_the_images_are_mirrored() -> None:
    x = torch.arange(8.0).expand(400, 3, 8, 8)
    mirrored = _varied(("mirror",), x, _generator())
    turned = (mirrored == x.flip(3)).flatten(1).all(1)
    assert ((mirrored == x).flatten(1).all(1) ^ turned).all()
    assert 160 <= int(turned.sum()) <= 240


def test_noise_is_a_quarter_of_the_data() -> None:
    x = 4 * torch.randn(1000, 10, generator=_generator(1))
    noise = _varied(("noise",), x, _generator()) - x
    assert float(noise.std()) == pytest.approx(1.0, rel=0.05)


def test_left_out_it_moves_images_and_nothing_else() -> None:
    tokens, images = torch.randint(0, 9, (64, 12)).float(), torch.randn(64, 1, 16, 16)
    assert torch.equal(_varied(None, tokens, _generator()), tokens)
    assert not torch.equal(_varied(None, images, _generator()), images)


def test_none_leaves_everything() -> None:
    images = torch.randn(8, 1, 16, 16)
    assert torch.equal(_varied(parse_augmentation("none"), images, _generator()), images)


def test_images_of_one_example_move_together_and_nothing_moves_what_is_no_number() -> None:
    image = torch.rand(64, 3, 16, 16, generator=_generator(1))
    x = Inputs({"image": image, "shown": image[:, :1], "ids": torch.arange(64)[:, None], "labels": image[:, :1] > 0.5})
    varied = augment_for(("crop", "mirror"), x)(x, _generator())
    assert not torch.equal(varied.tensors["image"], image)
    assert torch.equal(varied.tensors["image"][:, :1], varied.tensors["shown"])
    noisy = augment_for(("noise",), x)(x, _generator())
    for name in ("ids", "labels"):
        assert varied.tensors[name] is noisy.tensors[name] is x.tensors[name]


def test_the_order_of_its_parts_does_not_matter() -> None:
    assert parse_augmentation("mirror+noise+shift") == parse_augmentation("shift + noise+mirror")


@pytest.mark.parametrize(
    ("text", "what"),
    [("", "'' is not known"), ("shift+turn", "'turn' is not known"), ("shift+shift", "'shift' is there twice")],
)
def test_what_is_no_augmentation_is_refused(text: str, what: str) -> None:
    with pytest.raises(
        BadInput,
        match=f"^recovery.augment: {what}\nJoin noise, shift, crop, mirror with +, or give none.".replace("+,", r"\+,"),
    ):
        parse_augmentation(text)
