"""Average precision of boxes: of all images together, as COCO counts it (Lin et al. 2014; cocodataset.org, Evaluate).

A found box is right if it overlaps an object of its class enough that no likelier box has taken. Precision, the best at
this recall or beyond (PASCAL VOC; Everingham et al. 2010, section 4.2), is averaged over 101 recalls.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from toolkit.objectives.overlap import overlap

# What counts as enough: 0.5, and all of 0.5 to 0.95 whose mean COCO calls mAP.
THRESHOLDS = np.arange(50, 100, 5) / 100
_RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class Detections:
    """Of one image: boxes (K, 4), likelihoods (K,) and classes (K,) found; boxes (J, 4) and classes (J,) there."""

    boxes: torch.Tensor
    likely: torch.Tensor
    labels: torch.Tensor
    true_boxes: torch.Tensor
    true_labels: torch.Tensor


def mean_average_precision(images: Sequence[Detections], classes: int) -> np.ndarray:
    """By threshold (10,), the mean over the classes that have objects; NaN where nothing is to be found."""
    of_classes = [_average_precision(images, label) for label in range(classes)]
    there = [each for each in of_classes if each is not None]
    return np.mean(there, 0) if there else np.full(len(THRESHOLDS), np.nan)


def _average_precision(images: Sequence[Detections], label: int) -> np.ndarray | None:
    """(10,); None of a class without objects."""
    objects = sum(int((image.true_labels == label).sum()) for image in images)
    if not objects:
        return None
    likely, right = zip(*(_matched(image, label) for image in images), strict=True)
    order = np.argsort(-np.concatenate(likely), kind="stable")
    hits = np.cumsum(np.concatenate(right)[order], 0)
    if not len(hits):
        return np.zeros(len(THRESHOLDS))
    precision = hits / np.arange(1, len(hits) + 1)[:, None]
    best = np.maximum.accumulate(precision[::-1])[::-1]  # at this recall or beyond
    found = []
    for column in range(len(THRESHOLDS)):
        first = np.searchsorted(hits[:, column] / objects, _RECALLS - 1e-12)  # the first box that reaches the recall
        reached = first < len(hits)
        found.append(np.where(reached, best[np.minimum(first, len(hits) - 1), column], 0).mean())
    return np.array(found)


def _matched(image: Detections, label: int) -> tuple[np.ndarray, np.ndarray]:
    """Likelihoods of the boxes of that class, the likeliest first, and by threshold which are right (K, 10)."""
    found, there = image.labels == label, image.true_labels == label
    order = image.likely[found].argsort(descending=True, stable=True)
    likely = image.likely[found][order].numpy()
    overlaps = overlap(image.boxes[found][order][:, None], image.true_boxes[there][None]).numpy()
    right = np.zeros((len(likely), len(THRESHOLDS)), bool)
    for column, enough in enumerate(THRESHOLDS):
        free = np.ones(overlaps.shape[1], bool)
        for row, each in enumerate(overlaps):
            best = int(np.where(free, each, -1).argmax()) if free.any() else -1
            if best >= 0 and each[best] >= enough:
                right[row, column], free[best] = True, False
    return likely, right
