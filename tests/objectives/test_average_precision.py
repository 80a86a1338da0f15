"""Average precision of boxes: cases worked out by hand, and an independent library's average precision."""

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from toolkit.objectives import Boxes, OverAll
from toolkit.objectives.average_precision import THRESHOLDS, Detections, mean_average_precision

HERE, THERE, NOWHERE = [0.2, 0.2, 0.2, 0.2], [0.7, 0.7, 0.2, 0.2], [0.5, 0.1, 0.1, 0.1]


def image(found: list[tuple[float, int, list[float]]], there: list[tuple[int, list[float]]]) -> Detections:
    """Boxes found (how likely, class, place) and there (class, place)."""
    return Detections(
        torch.tensor([place for *_, place in found]).reshape(-1, 4),
        torch.tensor([likely for likely, *_ in found]),
        torch.tensor([label for _, label, _ in found]),
        torch.tensor([place for _, place in there]).reshape(-1, 4),
        torch.tensor([label for label, _ in there]),
    )


def at_half(*images: Detections, classes: int = 1) -> float:
    return float(mean_average_precision(images, classes)[0])


def test_all_that_is_there_and_nothing_else_is_one() -> None:
    assert mean_average_precision([image([(0.9, 0, HERE)], [(0, HERE)])], 1) == pytest.approx(np.ones(10))


def test_precision_is_averaged_over_101_recalls() -> None:
    """The second of three boxes is wrong: precision 1 up to a recall of 1/2 (51 of 101), 2/3 beyond (50 of 101)."""
    found = [(0.9, 0, HERE), (0.8, 0, NOWHERE), (0.7, 0, THERE)]
    assert at_half(image(found, [(0, HERE), (0, THERE)])) == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_what_is_not_found_counts_as_zero_from_its_recall_on() -> None:
    assert at_half(image([(0.9, 0, HERE)], [(0, HERE), (0, THERE)])) == pytest.approx(51 / 101)


def test_an_object_is_found_once() -> None:
    """By the likelier box; the double is wrong, and precision at the recall of 1/2 was reached before."""
    twice = image([(0.9, 0, HERE), (0.8, 0, HERE)], [(0, HERE), (0, THERE)])
    assert at_half(twice) == pytest.approx(51 / 101)


def test_images_count_together_by_how_likely_their_boxes_are() -> None:
    """A wrong box in one image comes before a right one in another: precision is 1/2 throughout."""
    wrong, right = image([(0.9, 0, NOWHERE)], []), image([(0.5, 0, HERE)], [(0, HERE)])
    assert at_half(wrong, right) == pytest.approx(1 / 2)


def test_a_mean_is_taken_over_classes_that_have_objects() -> None:
    two = image([(0.9, 0, HERE), (0.9, 2, HERE)], [(0, HERE), (1, THERE)])
    assert at_half(two, classes=3) == pytest.approx(1 / 2)
    assert np.isnan(mean_average_precision([image([(0.9, 0, HERE)], [])], 1)).all()


def test_a_box_is_right_at_the_thresholds_that_it_overlaps_enough_for() -> None:
    """Moved by a tenth of its width, a box overlaps by 0.9 / 1.1 = 0.818: enough for 0.5 to 0.8, seven of ten."""
    moved = [HERE[0] + 0.1 * HERE[2], *HERE[1:]]
    assert mean_average_precision([image([(0.9, 0, moved)], [(0, HERE)])], 1) == pytest.approx(
        (THRESHOLDS < 0.81).astype(float)
    )


def test_where_precision_never_rises_it_is_what_scikit_learn_computes() -> None:
    """Its average precision is the area under the steps, ours 101 heights of them: a hundredth apart at most."""
    random = np.random.default_rng(0)
    scores = np.sort(random.random(400))[::-1]
    right = np.arange(400) < 150
    right[150:] = random.random(250) < np.linspace(0.2, 0.0, 250)
    images = [
        image([(float(score), 0, HERE if hit else NOWHERE)], [(0, HERE)] if hit else [])
        for score, hit in zip(scores, right, strict=True)
    ]
    assert at_half(*images) == pytest.approx(average_precision_score(right, scores), abs=0.01)


def test_boxes_are_measured_without_doubles_and_however_unlikely() -> None:
    objective = Boxes(classes=2, objects=2, sides=(10.0, 10.0), probabilities=True)
    assert isinstance(objective, OverAll)
    outputs = torch.tensor([[*[10 * each for each in HERE], 0.02, 0.3], [*[10 * each for each in HERE], 0.01, 0.2]])
    targets = torch.tensor([[[1.0, *HERE], [-1, -1, -1, -1, -1]]])
    assert objective.over_all(outputs.T[None], targets) == pytest.approx({"mAP@0.5": 1.0, "mAP@0.5:0.95": 1.0})
    assert objective.over_all(outputs.T[None], torch.full((1, 2, 5), -1.0)) == {}
