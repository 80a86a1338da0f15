"""Every objective: what torch and scikit-learn compute, and the same on a board."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from learning import loaded_program
from sklearn.metrics import f1_score, jaccard_score, r2_score
from sklearn.neighbors import KNeighborsClassifier

from toolkit.adaptation.learning_graphs import trace_judge
from toolkit.objectives import IGNORED, Boxes, Classification, Embedding, Labelling, MultiLabel, Objective, Regression
from toolkit.objectives.overlap import generalised_overlap, overlap
from toolkit.runtimes import onnxruntime

Example = tuple[Objective, torch.Tensor, torch.Tensor]


def _classification(random: torch.Generator) -> Example:
    return Classification(), torch.randn(6, 4, generator=random), torch.arange(6) % 4


def _segmentation(random: torch.Generator) -> Example:
    targets = torch.randint(3, (5, 4, 6), generator=random)
    targets[0, 0] = IGNORED
    return Labelling(), torch.randn(5, 3, 4, 6, generator=random), targets


def _tagging(random: torch.Generator) -> Example:
    targets = torch.randint(3, (5, 7), generator=random)
    targets[1, 4:] = IGNORED
    return Labelling(classes_last=True), torch.randn(5, 7, 3, generator=random), targets


def _labels(random: torch.Generator) -> Example:
    return MultiLabel(), torch.randn(8, 5, generator=random), torch.randint(2, (8, 5), generator=random).float()


def _values(random: torch.Generator) -> Example:
    targets = torch.tensor([1.0, 100.0]) * torch.randn(9, 2, generator=random)
    return Regression.of(targets), targets + torch.randn(9, 2, generator=random), targets


def _vectors(random: torch.Generator) -> Example:
    gallery, labels = torch.randn(12, 8, generator=random), torch.arange(12) % 5
    return Embedding.of(gallery, labels), torch.randn(7, 8, generator=random), torch.arange(7) % 5


def _detection(random: torch.Generator) -> Example:
    centres, sides = (
        0.2 + 0.6 * torch.rand(3, 2, 30, generator=random),
        0.1 + 0.2 * torch.rand(3, 2, 30, generator=random),
    )
    outputs = torch.cat([100 * centres, 50 * sides, 2 * torch.randn(3, 2, 30, generator=random)], 1)
    outputs[:, 2:4] *= torch.tensor([2.0, 1.0])[:, None]
    objective = Boxes(classes=2, objects=30, sides=(100.0, 50.0))
    outputs[:, :2] *= torch.tensor([1.0, 0.5])[:, None]
    targets = objective.answers(outputs)
    targets[:, 0, 0] = 1 - targets[:, 0, 0]
    return objective, outputs, targets


EXAMPLES = [_classification, _segmentation, _tagging, _labels, _values, _vectors, _detection]
Make = Callable[[torch.Generator], Example]


@pytest.fixture(params=EXAMPLES, ids=lambda make: make.__name__.strip("_"))
def example(request: pytest.FixtureRequest) -> Example:
    make: Make = request.param
    return make(torch.Generator().manual_seed(0))


def test_a_board_scores_and_judges_as_the_host(example: Example, tmp_path: Path) -> None:
    objective, outputs, targets = example
    judge = loaded_program(onnxruntime.export(trace_judge(objective, outputs, targets), ()), tmp_path / "judge")
    scores, judgements = judge([outputs.numpy(), targets.numpy()])
    np.testing.assert_allclose(scores, objective.score(outputs, targets).numpy(), atol=1e-5)
    np.testing.assert_allclose(judgements, objective.judgement(outputs, targets).numpy(), rtol=1e-4, atol=1e-5)


def test_its_own_answers_are_scored_as_perfect_but_for_places_that_do_not_count(example: Example) -> None:
    objective, outputs, _ = example
    np.testing.assert_allclose(objective.score(outputs, objective.answers(outputs)).numpy(), 1, atol=1e-6)


def test_a_teacher_does_not_diverge_from_itself_and_others_do(example: Example) -> None:
    objective, outputs, _ = example
    np.testing.assert_allclose(objective.divergence(outputs, outputs, 2.0).numpy(), 0, atol=1e-6)
    assert (objective.divergence(outputs + torch.randn(outputs.shape), outputs, 2.0) > 0).all()


def test_gradients_of_drawn_targets_are_none_on_average(example: Example) -> None:
    """What a prediction itself draws does not pull it anywhere: of 4,000 draws within four standard errors."""
    objective, outputs, _ = example
    generator, one = torch.Generator().manual_seed(0), outputs[:1].expand(4000, *outputs.shape[1:])
    many = one.clone().requires_grad_(True)
    [gradient] = torch.autograd.grad(objective.drawn_loss(many, 2.0, generator).sum(), [many])
    error = gradient.std(0) / 4000**0.5
    assert (gradient.mean(0).abs() <= 4 * error + 1e-6).all()


def test_targets_that_fit_are_not_found_wrong(example: Example) -> None:
    objective, outputs, targets = example
    assert objective.wrong_with(outputs.shape, targets) is None


@pytest.mark.parametrize(
    ("objective", "outputs", "targets", "said"),
    [
        (Classification(), (6, 4, 4), torch.zeros(6, dtype=torch.int64), "gives (4, 4) an example, logits of classes"),
        (Classification(), (6, 3), torch.full((6,), 3), "labels are 3..3, of 3 classes"),
        (Classification(), (6, 3), torch.zeros(6), "targets are torch.float32 (6,), one label each"),
        (Labelling(), (6, 3), torch.zeros(6, 3, dtype=torch.int64), "gives (3,) an example, logits for each"),
        (Labelling(), (6, 3, 8, 8), torch.zeros(6, 4, 4, dtype=torch.int64), "labels of 8 x 8 places"),
        (Labelling(), (6, 7, 3), torch.zeros(6, 7, dtype=torch.int64), "Labelling(classes_last=True)"),
        (MultiLabel(), (6, 3), torch.full((6, 3), 0.5), "other than 0 and 1"),
        (MultiLabel(), (6, 3), torch.zeros(6, 2), "(N, 3) is expected"),
        (Regression((1.0,)), (6, 2), torch.zeros(6, 1), "gives (2,) an example, 1 value(s)"),
        (Regression((1.0,)), (6, 1), torch.full((6, 1), torch.nan), "NaN or infinity"),
        (Boxes(2, 3), (6, 5, 9), torch.zeros(6, 3, 5), "(4 + 2 classes, places) is expected"),
        (Boxes(2, 3), (6, 6, 9), torch.zeros(6, 2, 5), "(N, 3, 5) is expected"),
        (Boxes(2, 3), (6, 6, 9), torch.full((6, 3, 5), 2.0), "other than -1 and 0..1"),
        (Boxes(2, 3), (6, 6, 9), torch.tensor([0, 320.0, 320, 40, 40]).expand(6, 3, 5), "no shares"),
        (Embedding(((1.0, 0.0),), (0,)), (6, 3), torch.zeros(6, dtype=torch.int64), "the gallery holds vectors of 2"),
        (Embedding(((1.0, 0.0),), (0,)), (6, 2), torch.zeros(6), "one label each of torch.int64"),
        (Embedding(((1.0, 0.0),), (0,)), (6, 2), torch.arange(6), "nothing of label 1, 2, 3, 4, 5"),
    ],
)
def test_targets_that_do_not_fit_are_told(
    objective: Objective, outputs: tuple[int, ...], targets: torch.Tensor, said: str
) -> None:
    assert said in (objective.wrong_with(torch.Size(outputs), targets) or "")


def test_labelling_is_torchs_cross_entropy_and_scikit_learns_jaccard() -> None:
    random = torch.Generator().manual_seed(0)
    for objective, outputs, targets in (_segmentation(random), _tagging(random)):
        first = outputs if objective == Labelling() else outputs.transpose(1, 2)
        each = F.cross_entropy(first, targets, ignore_index=IGNORED, reduction="none").flatten(1)
        counted = (targets != IGNORED).flatten(1)
        torch.testing.assert_close(objective.loss(outputs, targets), each.sum(1) / counted.sum(1))
        for row in range(len(targets)):
            seen = counted[row]
            wanted, given = targets.flatten(1)[row][seen], objective.answers(outputs).flatten(1)[row][seen]
            found = jaccard_score(wanted, given, average="macro")
            assert float(objective.score(outputs, targets)[row]) == pytest.approx(found, abs=1e-6)


def test_many_labels_are_torchs_binary_cross_entropy_and_scikit_learns_f1() -> None:
    objective, outputs, targets = _labels(torch.Generator().manual_seed(0))
    expected = F.binary_cross_entropy_with_logits(outputs, targets, reduction="none").sum(1)
    torch.testing.assert_close(objective.loss(outputs, targets), expected)
    f1 = f1_score(targets, outputs > 0, average="samples", zero_division=1)
    assert float(objective.score(outputs, targets).mean()) == pytest.approx(f1, abs=1e-6)


def test_regression_is_scored_by_scikit_learns_r2() -> None:
    objective, outputs, targets = _values(torch.Generator().manual_seed(0))
    assert float(objective.score(outputs, targets).mean()) == pytest.approx(r2_score(targets, outputs), abs=1e-5)


def test_a_value_that_never_differs_has_a_scale() -> None:
    assert Regression.of(torch.tensor([[1.0, 2.0], [1.0, 4.0]])).scales == (1.0, 1.0)


def test_retrieval_is_scikit_learns_nearest_neighbour_by_the_cosine() -> None:
    random = torch.Generator().manual_seed(0)
    gallery, labels = 5 * torch.randn(40, 6, generator=random), torch.arange(40) % 9
    outputs, targets = torch.randn(50, 6, generator=random), torch.arange(50) % 9
    objective = Embedding.of(gallery, labels)
    neighbours = KNeighborsClassifier(1, metric="cosine").fit(gallery, labels)
    assert objective.answers(outputs).tolist() == neighbours.predict(outputs).tolist()
    found = float(objective.score(outputs, targets).mean())
    assert found == pytest.approx(neighbours.score(outputs, targets), abs=1e-6)


def test_a_gallery_of_one_vector_a_label_is_cross_entropy_of_cosines() -> None:
    random = torch.Generator().manual_seed(0)
    gallery, outputs, targets = (
        torch.randn(5, 6, generator=random),
        torch.randn(9, 6, generator=random),
        torch.arange(9) % 5,
    )
    cosines = F.normalize(outputs) @ F.normalize(gallery).T
    expected = F.cross_entropy(cosines / 0.1, targets, reduction="none")
    torch.testing.assert_close(
        Embedding.of(gallery, torch.arange(5)).loss(outputs, targets), expected, rtol=1e-4, atol=1e-5
    )


def _three_boxes() -> torch.Tensor:
    """Of pixels in an image of 100 x 50, and probabilities: one, its double, and another of the second class."""
    places = [[20.0, 20, 20, 20, 0.9, 0.1], [22.0, 20, 20, 20, 0.8, 0.1], [70.0, 30, 20, 20, 0.2, 0.7]]
    return torch.tensor(places).T[None]


@pytest.mark.parametrize(
    ("first", "second", "f1"),
    [
        ((0, 0.2, 0.4, 0.2, 0.4), (1, 0.7, 0.6, 0.2, 0.4), 1.0),
        ((0, 0.2, 0.4, 0.2, 0.4), (0, 0.7, 0.6, 0.2, 0.4), 0.5),  # of another class
        (
            (0, 0.27, 0.4, 0.2, 0.4),
            (1, 0.7, 0.6, 0.2, 0.4),
            0.5,
        ),  # covered to 13/27 by what is found, and by its double more
        ((0, 0.2, 0.4, 0.2, 0.4), (-1, -1, -1, -1, -1), 2 / 3),
        ((-1, -1, -1, -1, -1), (-1, -1, -1, -1, -1), 0.0),
    ],
)
def test_boxes_are_scored_by_what_is_found_of_their_class_without_doubles(
    first: tuple[float, ...], second: tuple[float, ...], f1: float
) -> None:
    objective = Boxes(classes=2, objects=2, sides=(100.0, 50.0), probabilities=True)
    assert float(objective.score(_three_boxes(), torch.tensor([[first, second]]))) == pytest.approx(f1)


def test_a_gradient_of_the_loss_moves_boxes_to_their_objects() -> None:
    objective, targets = Boxes(classes=2, objects=1), torch.tensor([[[1.0, 0.5, 0.5, 0.2, 0.2]]])
    outputs = torch.cat([torch.rand(1, 4, 9, generator=torch.Generator().manual_seed(0)), torch.zeros(1, 2, 9)], 1)
    outputs.requires_grad_(True)
    optimizer = torch.optim.Adam([outputs], 0.05)
    for _ in range(200):
        optimizer.zero_grad()
        objective.loss(outputs, targets).mean().backward()
        optimizer.step()
    assert float(objective.score(outputs, targets)) == 1


def test_overlaps_are_those_of_areas() -> None:
    """Boxes of 4 x 4 that share 2 x 4; and two that touch nowhere, in a box of 10 x 4."""
    a, b, c = (torch.tensor([x, 2.0, 4, 4]) for x in (2.0, 4, 8))
    assert float(overlap(a, b)) == pytest.approx(8 / 24)
    assert float(generalised_overlap(a, c)) == pytest.approx(-8 / 40)
