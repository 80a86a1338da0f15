"""Boxes: objects in an image, each with a class and a place."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from toolkit.objectives.average_precision import Detections, mean_average_precision
from toolkit.objectives.overlap import generalised_overlap, overlap

# A box answers for an object from this overlap on (PASCAL VOC), and is another's double from it on.
_ENOUGH = 0.5
# So many of the likeliest boxes are looked at.
_LIKELIEST = 100
# Of logits from probabilities; and of a drawn box's sides, as a share of the image.
_LEAST_PROBABILITY, _DEVIATION = 1e-4, 0.1


@dataclass(frozen=True)
class Boxes:
    """Outputs (N, 4 + classes, places) hold boxes and logits of classes, targets (N, objects, 5) classes and boxes.

    A box is its centre x and y, width and height: of targets as shares of the image, of outputs in units of which the
    image has `sides` (width, height). Rows of class -1 fill up targets. YOLO detectors write pixels, and
    `probabilities` instead of logits. The score is F1 of each image, at an overlap of 0.5, of the boxes that are given
    at least `confidence`, after those are dropped that double a likelier one of their class.
    """

    classes: int
    objects: int
    sides: tuple[float, float] = (1.0, 1.0)
    probabilities: bool = False
    confidence: float = 0.25
    measure: str = "F1 of boxes"

    def wrong_with(self, outputs: torch.Size, targets: torch.Tensor) -> str | None:
        """See `Objective`."""
        if len(outputs) != 3 or outputs[1] != 4 + self.classes:
            wanted = f"(4 + {self.classes} classes, places) is expected"
            named = "a folder names all classes of the model in classes.txt"
            return f"the model gives {tuple(outputs[1:])} an example, {wanted} ({named})"
        if targets.dtype != torch.float32 or tuple(targets.shape[1:]) != (self.objects, 5):
            wanted = f"torch.float32 (N, {self.objects}, 5)"
            return f"targets are {targets.dtype} {tuple(targets.shape)}, {wanted} is expected"
        labels, places = targets[..., 0], targets[..., 1:][targets[..., 0] >= 0]
        if bool((labels >= self.classes).any() | (labels != labels.round()).any()):
            return f"labels of boxes are other than -1 and 0..{self.classes - 1}"
        return None if bool(((places >= 0) & (places <= 1)).all()) else "boxes are no shares of their image, 0 to 1"

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """(N,): of each object's box 1 less the generalised overlap, and cross-entropies of all classes of all places.

        An object is answered for by the place with the best of class and overlap (weighed as in DETR, Carion et al.
        2020); others that overlap it are let alone (YOLOv3, Redmon & Farhadi 2018, section 2.1).
        """
        boxes, logits = self._read(outputs)
        there, wanted = _there(targets), self._wanted(targets)
        nearness = generalised_overlap(boxes[:, None], targets[:, :, None, 1:])
        likely = wanted @ torch.sigmoid(logits).transpose(1, 2)
        places = torch.arange(outputs.shape[-1])
        best = (likely + 2 * nearness).detach().argmax(-1)
        answering = (best[..., None] == places).float() * there[..., None]
        positive = (answering.transpose(1, 2) @ wanted).clamp(max=1)
        overlapping = (overlap(boxes[:, None], targets[:, :, None, 1:]).detach() > _ENOUGH).float() * there[..., None]
        alone = 1 - (overlapping.transpose(1, 2) @ wanted).clamp(max=1) * (1 - positive)
        entropies = -(positive * F.logsigmoid(logits) + (1 - positive) * F.logsigmoid(-logits))
        apart = (answering * (1 - nearness)).sum((1, 2))
        return ((alone * entropies).sum((1, 2)) + apart) / there.sum(-1).clamp_min(1)

    def score(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """F1, (N,); 1 where nothing is there and nothing found."""
        boxes, labels, kept = self._found(outputs)
        there = _there(targets)
        alike = (labels[:, None] == targets[..., :1]).float() * kept[:, None] * there[..., None]
        right = alike * (overlap(boxes[:, None], targets[:, :, None, 1:]) >= _ENOUGH).float()
        precision = right.amax(1).sum(-1) / kept.sum(-1).clamp_min(1)
        recall = right.amax(2).sum(-1) / there.sum(-1).clamp_min(1)
        f1 = 2 * precision * recall / (precision + recall).clamp_min(1e-9)
        return torch.where(kept.sum(-1) + there.sum(-1) > 0, f1, torch.ones_like(f1))

    def over_all(self, outputs: torch.Tensor, targets: torch.Tensor) -> dict[str, float]:
        """Mean average precision (`average_precision`) of all boxes but doubles, however unlikely; see `OverAll`."""
        boxes, labels, likely, doubled = self._ranked(outputs)
        images = []
        for row, of_image in enumerate(targets):
            alone, there = doubled[row] == 0, of_image[:, 0] >= 0
            boxes_there, labels_there = of_image[there, 1:], of_image[there, 0]
            found = boxes[row, alone], likely[row, alone], labels[row, alone]
            images.append(Detections(*found, boxes_there, labels_there))
        at = mean_average_precision(images, self.classes)
        return {} if math.isnan(at[0]) else {"mAP@0.5": float(at[0]), "mAP@0.5:0.95": float(at.mean())}

    def judgement(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """The loss as it is."""
        return self.loss(outputs, targets)[:, None]

    def divergence(self, student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
        """KL of each class of each place, softened, times T^2, and how far boxes are apart that show something."""
        boxes, logits = self._read(student)
        taught, likely = self._read(teacher)
        shown = torch.sigmoid(likely).amax(-1)
        soft, hard = logits / temperature, likely / temperature
        p = torch.sigmoid(hard)
        apart = p * (F.logsigmoid(hard) - F.logsigmoid(soft)) + (1 - p) * (F.logsigmoid(-hard) - F.logsigmoid(-soft))
        moved = shown * (1 - generalised_overlap(boxes, taught))
        return (apart.sum((1, 2)) * temperature**2 + moved.sum(-1)) / shown.sum(-1).clamp_min(1)

    def drawn_loss(self, outputs: torch.Tensor, temperature: float, generator: torch.Generator) -> torch.Tensor:
        """Of classes drawn for each place from the softened prediction, and of boxes drawn around those that show."""
        boxes, logits = self._read(outputs)
        soft = logits / temperature
        drawn = torch.bernoulli(torch.sigmoid(soft).detach(), generator=generator)
        entropies = -(drawn * F.logsigmoid(soft) + (1 - drawn) * F.logsigmoid(-soft)).sum((1, 2)) * temperature
        shown = torch.sigmoid(logits).amax(-1).detach()
        noise = torch.randn(boxes.shape, generator=generator)
        away = ((boxes - boxes.detach()) / _DEVIATION - noise).square().sum(-1)
        return (entropies + (shown * away).sum(-1) / 2) / shown.sum(-1).clamp_min(1)

    def answers(self, outputs: torch.Tensor) -> torch.Tensor:
        """The likeliest boxes, as many as targets have rows."""
        boxes, labels, kept = self._found(outputs)
        classes = torch.where(kept > 0, labels, -torch.ones_like(labels))
        found = torch.cat([classes[..., None], boxes.clamp(0, 1)], -1)
        first = torch.argsort(kept, dim=-1, descending=True, stable=True)
        found = found.gather(1, first[..., None].expand_as(found))[:, : self.objects]
        missing = self.objects - found.shape[1]
        return torch.cat([found, -torch.ones(len(found), missing, 5)], 1) if missing else found

    def _read(self, outputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Boxes (N, places, 4) as shares of the image, and logits (N, places, classes)."""
        boxes, classes = outputs[:, :4].transpose(1, 2), outputs[:, 4:].transpose(1, 2)
        if self.probabilities:
            classes = torch.logit(classes.clamp(_LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY))
        return boxes / torch.tensor(self.sides * 2), classes

    def _found(self, outputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The likeliest boxes (N, K, 4), their classes (N, K), and 1 for those that are kept, else 0 (N, K)."""
        boxes, labels, likely, doubled = self._ranked(outputs)
        return boxes, labels, (likely >= self.confidence).float() * (1 - doubled)

    def _ranked(self, outputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """The likeliest boxes (N, K, 4), their classes and how likely they are (N, K), and 1 for doubles, else 0.

        A box is a double if any likelier one of its class overlaps it, itself one or not (YOLACT's fast suppression,
        Bolya et al. 2019, section 6): a matrix, and no loop.
        """
        boxes, logits = self._read(outputs)
        likely, labels = torch.sigmoid(logits).max(-1)
        likely, first = torch.topk(likely, min(_LIKELIEST, likely.shape[1]), 1)
        labels = labels.gather(1, first).float()
        boxes = boxes.gather(1, first[..., None].expand(-1, -1, 4))
        doubles = (overlap(boxes[:, :, None], boxes[:, None]) > _ENOUGH) & (labels[:, :, None] == labels[:, None])
        order = torch.arange(likely.shape[1])
        doubles = doubles & (order[:, None] < order)
        return boxes, labels, likely, doubles.float().amax(1)

    def _wanted(self, targets: torch.Tensor) -> torch.Tensor:
        """(N, objects, classes)."""
        return (targets[..., :1] == torch.arange(self.classes)).float()


def _there(targets: torch.Tensor) -> torch.Tensor:
    return (targets[..., 0] >= 0).float()
