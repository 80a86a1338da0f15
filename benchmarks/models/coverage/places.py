"""Networks that answer for every place of an example: pixels, cells of a grid, boxes, tokens."""

from collections.abc import Callable

import torch
from torch import nn

from benchmarks.models.coverage.case import Case
from benchmarks.models.coverage.taught import taught
from toolkit.objectives import Labelling
from toolkit.tasks import Task

_HERE = "benchmarks.models.coverage.places"


def segformer() -> nn.Module:
    """(3, 64, 64) -> logits (4, 16, 16)."""
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    torch.manual_seed(0)
    sizes = {"depths": [1, 1, 1, 1], "hidden_sizes": [16, 32, 40, 64], "num_attention_heads": [1, 2, 4, 4]}
    return SegformerForSemanticSegmentation(SegformerConfig(num_labels=4, decoder_hidden_size=64, **sizes)).eval()


def yolos() -> nn.Module:
    """(3, 64, 64) -> logits (8 boxes, 4 classes and none), and the boxes."""
    from transformers import YolosConfig, YolosForObjectDetection

    torch.manual_seed(0)
    widths = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
    patches = {"image_size": [64, 64], "patch_size": 16, "num_detection_tokens": 8}
    return YolosForObjectDetection(YolosConfig(num_labels=4, **widths, **patches)).eval()


class _UNet(nn.Module):
    """Down twice and up twice, with what was there beside it (Ronneberger et al. 2015)."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(2)
        self.down1, self.down2, self.bottom = _twice(3, 16), _twice(16, 32), _twice(32, 64)
        self.grow2, self.grow1 = nn.ConvTranspose2d(64, 32, 2, 2), nn.ConvTranspose2d(32, 16, 2, 2)
        self.up2, self.up1 = _twice(64, 32), _twice(32, 16)
        self.head = nn.Conv2d(16, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = self.down1(x)
        second = self.down2(self.pool(first))
        x = self.up2(torch.cat([second, self.grow2(self.bottom(self.pool(second)))], 1))
        return self.head(self.up1(torch.cat([first, self.grow1(x)], 1)))


def unet() -> nn.Module:
    """(3, 32, 32) -> logits (4, 32, 32)."""
    torch.manual_seed(0)
    return _UNet()


class _Yolo(nn.Module):
    """A class for each cell of an 8 x 8 grid, and a box."""

    def __init__(self) -> None:
        super().__init__()
        layers = [_strided(3, 24), _strided(24, 48), _strided(48, 64)]
        self.body = nn.Sequential(*layers, nn.Conv2d(64, 64, 3, padding=1), nn.LeakyReLU(0.1))
        self.classes, self.boxes = nn.Conv2d(64, 5, 1), nn.Conv2d(64, 4, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self.body(x)
        return self.classes(features), self.boxes(features).sigmoid()


def yolo() -> nn.Module:
    """(3, 64, 64) -> logits (5, 8, 8), boxes (4, 8, 8)."""
    torch.manual_seed(0)
    return _Yolo()


class _Tagger(nn.Module):
    """A label for each token."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(64, 64), nn.Parameter(0.1 * torch.randn(16, 64))
        layer = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(64, 5)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(self.words(ids) + self.places))


def tagger() -> nn.Module:
    """Ids (16) -> logits (16, 5)."""
    torch.manual_seed(0)
    return _Tagger()


def semantic(shots: int, seed: int) -> Task:
    """For `segformer`."""
    return _labelled(segformer(), _pixels(64), lambda model, x: model(x).logits, 1, shots, seed)


def boxes(shots: int, seed: int) -> Task:
    """For `yolos`: the class of each box."""
    return _labelled(yolos(), _pixels(64), lambda model, x: model(x).logits, 2, shots, seed)


def pixels(shots: int, seed: int) -> Task:
    """For `unet`."""
    return _labelled(unet(), _pixels(32), lambda model, x: model(x), 1, shots, seed)


def cells(shots: int, seed: int) -> Task:
    """For `yolo`: the class of each cell."""
    return _labelled(yolo(), _pixels(64), lambda model, x: model(x)[0], 1, shots, seed)


def tags(shots: int, seed: int) -> Task:
    """For `tagger`."""
    return _labelled(tagger(), _ids, lambda model, x: model(x), 2, shots, seed)


def _labelled(
    model: nn.Module,
    draw: Callable[[int, torch.Generator], torch.Tensor],
    logits_of: Callable[[nn.Module, torch.Tensor], torch.Tensor],
    axis: int,
    shots: int,
    seed: int,
) -> Task:
    """The class whose logit is highest for its own mean and spread: random networks prefer one class everywhere."""

    def answer(teacher: nn.Module, x: torch.Tensor) -> torch.Tensor:
        logits = logits_of(teacher, x)
        others = [each for each in range(logits.dim()) if each != axis]
        spread, mean = torch.std_mean(logits, others, keepdim=True)
        return ((logits - mean) / (spread + 1e-6)).argmax(axis)

    return taught("places", model, draw, answer, lambda _: Labelling(classes_last=axis == 2), shots, seed)


def _pixels(size: int) -> Callable[[int, torch.Generator], torch.Tensor]:
    def draw(count: int, generator: torch.Generator) -> torch.Tensor:
        coarse = torch.rand(count, 3, 8, 8, generator=generator)
        return nn.functional.interpolate(coarse, size=(size, size), mode="bilinear")

    return draw


def _ids(count: int, generator: torch.Generator) -> torch.Tensor:
    return torch.randint(2, 64, (count, 16), generator=generator)


def _twice(inside: int, outside: int) -> nn.Sequential:
    first = nn.Conv2d(inside, outside, 3, padding=1), nn.BatchNorm2d(outside), nn.ReLU()
    return nn.Sequential(*first, nn.Conv2d(outside, outside, 3, padding=1), nn.BatchNorm2d(outside), nn.ReLU())


def _strided(inside: int, outside: int) -> nn.Sequential:
    convolution = nn.Conv2d(inside, outside, 3, 2, 1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outside), nn.LeakyReLU(0.1))


CASES = tuple(
    Case(model, f"{_HERE}:{model}", f"{_HERE}:{task}")
    for model, task in (
        ("segformer", "semantic"),
        ("yolos", "boxes"),
        ("unet", "pixels"),
        ("yolo", "cells"),
        ("tagger", "tags"),
    )
)
