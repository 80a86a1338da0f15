"""Hugging Face's classifiers as functions of one float tensor: images, token ids or a recording -> logits."""

from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Scale:
    """What an image processor does to pixels in 0..1: `(x - mean) / std`, by channel, after turning RGB if `flips`."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    flips: bool = False


class ImageClassifier(nn.Module):
    """Images (N, 3, H, W) or grey ones (N, 1, H, W), in 0..1 -> logits (N, classes)."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, model: nn.Module, scale: Scale) -> None:
        super().__init__()
        self.model, self.flips = model, scale.flips
        self.register_buffer("mean", torch.tensor(scale.mean).view(-1, 1, 1))
        self.register_buffer("std", torch.tensor(scale.std).view(-1, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of normalised pixels."""
        x = (x - self.mean) / self.std
        return self.model(pixel_values=x.flip(1) if self.flips else x).logits


class TextClassifier(nn.Module):
    """Token ids (N, tokens), float32 as all of a task's inputs, padded with `padding` -> logits (N, classes)."""

    def __init__(self, model: nn.Module, padding: int) -> None:
        super().__init__()
        self.model, self.padding = model, padding

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Logits of what is no padding."""
        ids = ids.long()
        return self.model(input_ids=ids, attention_mask=(ids != self.padding).long()).logits


class AudioClassifier(nn.Module):
    """Recordings (N, 1, samples) or (N, samples), in -1..1 -> logits (N, classes)."""

    def __init__(self, model: nn.Module, normalises: bool) -> None:
        super().__init__()
        self.model, self.normalises = model, normalises

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of the samples, each recording to mean 0 and deviation 1 if the model was trained so."""
        x = x.flatten(1)
        if self.normalises:
            centred = x - x.mean(1, keepdim=True)
            x = centred * (centred.square().mean(1, keepdim=True) + 1e-7).rsqrt()  # as Wav2Vec2FeatureExtractor
        return self.model(x).logits
