"""Hugging Face's segmenters and detectors as functions of images; outputs are what the tasks' objectives take."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from toolkit.origins.pixels import Pixels


class Segmenter(nn.Module):
    """Images (N, 3, H, W) in 0..1 -> logits (N, classes, H, W), drawn up from the model's coarser ones."""

    def __init__(self, model: nn.Module, pixels: Pixels) -> None:
        super().__init__()
        self.model, self.pixels = model, pixels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """As `post_process_semantic_segmentation` draws them up."""
        logits = self.model(pixel_values=self.pixels(x)).logits
        return F.interpolate(logits, size=x.shape[-2:], mode="bilinear", align_corners=False)


class Detector(nn.Module):
    """Images (N, 3, H, W) in 0..1 -> boxes in pixels and probabilities (N, 4 + classes, places), as of YOLO."""

    def __init__(self, model: nn.Module, pixels: Pixels) -> None:
        super().__init__()
        self.model, self.pixels = model, pixels
        config: Any = model.config
        self.classes = int(config.num_labels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """One logit more than there are classes is that of nothing (DETR); without it each class is for itself."""
        found = self.model(pixel_values=self.pixels(x))
        logits = found.logits
        competing = logits.shape[-1] > self.classes
        likely = logits.softmax(-1)[..., :-1] if competing else logits.sigmoid()
        height, width = x.shape[-2:]
        boxes = found.pred_boxes * torch.tensor([width, height, width, height])
        return torch.cat([boxes, likely], -1).transpose(1, 2)
