"""Recovery trains cores and nothing else, towards the teacher, the same way each time."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from toolkit.compression import calibrate, compress, compressible_layers, jactus_spectrum, matrix
from toolkit.distillation import kd, recover
from toolkit.tasks import Examples

_Trained = tuple[nn.Module, nn.Module, nn.Linear, Examples]


@pytest.fixture
def compressed() -> _Trained:
    torch.manual_seed(0)
    teacher = nn.Sequential(nn.Linear(8, 24), nn.BatchNorm1d(24), nn.Tanh(), nn.Dropout(), nn.Linear(24, 12)).eval()
    head, x = nn.Linear(12, 3).requires_grad_(False), torch.randn(96, 8)
    head.weight *= 20  # a teacher that is sure of itself, as a trained one is
    layers = compressible_layers(teacher, x[:1])
    statistics = calibrate(teacher, layers, [(x, head)])
    spectra = {name: jactus_spectrum(matrix(layer), statistics[name], 4) for name, layer in layers.items()}
    student = compress(teacher, spectra, dict.fromkeys(layers, 4))
    return student, teacher, head, Examples(x, head(teacher(x)).argmax(1).detach())


def _recover(trained: _Trained, steps: int) -> list[tuple[int, int]]:
    student, teacher, head, examples = trained
    seen: list[tuple[int, int]] = []
    recover(student, teacher, head, examples, steps=steps, jitter=0.1, seed=0, on_progress=lambda *at: seen.append(at))
    return seen


@torch.no_grad()
def _distance(trained: _Trained) -> float:
    student, teacher, head, examples = trained
    return float(kd(head(student(examples.x)), head(teacher(examples.x)), 2.0))


def test_the_student_comes_closer_to_the_teacher(compressed: _Trained) -> None:
    before = _distance(compressed)
    assert _recover(compressed, 120)[-1] == (120, 120)
    assert _distance(compressed) < 0.7 * before


def test_only_cores_move(compressed: _Trained) -> None:
    student, teacher, head, _ = compressed
    before = [copy.deepcopy(module.state_dict()) for module in (student, teacher, head)]
    _recover(compressed, 5)
    after = [module.state_dict() for module in (student, teacher, head)]
    moved = [
        name for old, new in zip(before, after, strict=True) for name in old if not torch.equal(old[name], new[name])
    ]
    assert moved == ["0.core.weight", "4.core.weight"]


def test_a_seed_gives_the_same_cores(compressed: _Trained) -> None:
    again = (copy.deepcopy(compressed[0]), *compressed[1:])
    _recover(compressed, 5)
    torch.manual_seed(99)
    _recover(again, 5)
    torch.testing.assert_close(compressed[0].state_dict(), again[0].state_dict(), atol=0, rtol=0)


@pytest.mark.parametrize("steps", [0, 1])
def test_no_step_and_one_step_are_steps_like_any_other(compressed: _Trained, steps: int) -> None:
    assert len(_recover(compressed, steps)) == steps


def test_a_model_that_stayed_dense_has_nothing_to_recover(compressed: _Trained) -> None:
    _, teacher, head, examples = compressed
    assert _recover((copy.deepcopy(teacher).requires_grad_(False), teacher, head, examples), 5) == []


def test_kd_is_the_scaled_divergence_of_softened_predictions() -> None:
    # Hinton et al. 2015, section 2: KL(p_teacher^T || p_student^T) * T^2, here written out.
    student, teacher = torch.tensor([[1.0, 0.0, -1.0]]), torch.tensor([[0.0, 2.0, 0.0]])
    p, q = F.softmax(teacher / 2, -1), F.softmax(student / 2, -1)
    assert float(kd(student, teacher, 2.0)) == pytest.approx(4 * float((p * (p / q).log()).sum()), rel=1e-5)
    assert float(kd(teacher, teacher, 2.0)) == pytest.approx(0, abs=1e-6)
