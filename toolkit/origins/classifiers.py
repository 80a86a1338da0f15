"""Hugging Face's classifiers as functions of one tensor: images, token ids or a recording -> logits."""

import torch
from torch import nn

from toolkit.origins.pixels import Pixels


class ImageClassifier(nn.Module):
    """Images (N, 3, H, W) or grey ones (N, 1, H, W), in 0..1 -> logits (N, classes)."""

    def __init__(self, model: nn.Module, pixels: Pixels) -> None:
        super().__init__()
        self.model, self.pixels = model, pixels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of normalised pixels."""
        return self.model(pixel_values=self.pixels(x)).logits


class TextClassifier(nn.Module):
    """Token ids (N, tokens), float32 as all of a task's inputs, padded with `padding` -> logits (N, classes).

    Of a model for tokens (N, tokens, classes).
    """

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
