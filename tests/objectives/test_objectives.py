"""Every objective: what torch and scikit-learn compute, and the same on a board."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from learning import loaded_program
from sklearn.metrics import f1_score, jaccard_score, r2_score

from toolkit.adaptation.learning_graphs import trace_judge
from toolkit.objectives import IGNORED, Classification, Labelling, MultiLabel, Objective, Regression
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


EXAMPLES = [_classification, _segmentation, _tagging, _labels, _values]
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
        (MultiLabel(), (6, 3), torch.full((6, 3), 0.5), "other than 0 and 1"),
        (MultiLabel(), (6, 3), torch.zeros(6, 2), "(N, 3) is expected"),
        (Regression((1.0,)), (6, 2), torch.zeros(6, 1), "gives (2,) an example, 1 value(s)"),
        (Regression((1.0,)), (6, 1), torch.full((6, 1), torch.nan), "NaN or infinity"),
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
