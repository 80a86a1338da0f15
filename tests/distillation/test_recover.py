"""Recovery trains cores and nothing else, towards the teacher, the same way each time."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.choices import ranks
from toolkit.compression import calibrate, compress, compressible_layers, jactus_spectrum, matrix
from toolkit.distillation import augment_for, kd, recover, teach, terms_of
from toolkit.distillation.terms import Seen
from toolkit.errors import BadInput
from toolkit.inputs import inputs_of
from toolkit.recipe import Recipe, parse_recipe
from toolkit.tasks import Examples

_CORES = parse_recipe("kd")
_Trained = tuple[nn.Module, nn.Module, nn.Linear, Examples]


@pytest.fixture
def compressed() -> _Trained:
    torch.manual_seed(0)
    teacher = nn.Sequential(nn.Linear(8, 24), nn.BatchNorm1d(24), nn.Tanh(), nn.Dropout(), nn.Linear(24, 12)).eval()
    head, x = nn.Linear(12, 3).requires_grad_(False), torch.randn(96, 8)
    head.weight *= 20  # a teacher that is sure of itself, as a trained one is
    layers = compressible_layers(teacher, inputs_of(x[:1]))
    statistics = calibrate(teacher, layers, [(inputs_of(x), head)])
    spectra = {name: jactus_spectrum(matrix(layer), statistics[name], 4) for name, layer in layers.items()}
    student = compress(teacher, spectra, ranks(dict.fromkeys(layers, 4)))
    return student, teacher, head, Examples(x, head(teacher(x)).argmax(1).detach())


def _recover(trained: _Trained, steps: int, recipe: Recipe = _CORES) -> list[tuple[int, int]]:
    student, teacher, head, examples = trained
    seen: list[tuple[int, int]] = []
    recover(
        student,
        teacher,
        head,
        examples,
        recipe=recipe,
        steps=steps,
        augment=augment_for(("noise",), examples.x),
        seed=0,
        on_progress=lambda *at: seen.append(at),
    )
    return seen


@torch.no_grad()
def _distance(trained: _Trained) -> float:
    student, teacher, head, examples = trained
    return float(kd(head(student(*examples.x)), head(teacher(*examples.x)), 2.0))


@pytest.mark.parametrize(
    "recipe",
    ["kd", "kd+gradient+beta", "kd+beta-terms", "kd+beta-instances", "kd+features", "kd+factors", "kd+network"],
)
def test_the_student_comes_closer_to_the_teacher(compressed: _Trained, recipe: str) -> None:
    before = _distance(compressed)
    assert _recover(compressed, 120, parse_recipe(recipe))[-1] == (120, 120)
    assert _distance(compressed) < 0.7 * before


def test_labels_alone_teach_the_labels(compressed: _Trained) -> None:
    student, teacher, head, examples = compressed
    other = Examples(examples.x, (examples.y + 1) % 3)
    before = F.cross_entropy(head(student(*other.x)), other.y)
    _recover((student, teacher, head, other), 60, parse_recipe("task"))
    assert F.cross_entropy(head(student(*other.x)), other.y) < 0.85 * before


def test_gradients_are_turned_towards_the_teachers(compressed: _Trained) -> None:
    student, teacher, head, examples = compressed

    def turned() -> float:
        features = student(*examples.x)
        seen = Seen(features, head(features), teacher(*examples.x), head(teacher(*examples.x)), examples.y, head)
        return float(terms_of(parse_recipe("gradient"), seen)["gradient"].each.detach().mean())

    before = turned()
    _recover(compressed, 60, parse_recipe("gradient"))
    assert turned() < 0.8 * before


def test_a_student_is_narrowed_as_it_runs_and_at_no_other_time(compressed: _Trained) -> None:
    student, teacher, head, examples = compressed
    inside, seen = [False], []
    student.register_forward_hook(lambda *_: seen.append(inside[0]))

    @contextmanager
    def narrowed(generator: torch.Generator) -> Iterator[None]:
        inside[0] = True
        yield
        inside[0] = False

    recover(student, teacher, head, examples, steps=3, seed=0, on_progress=lambda *_: None, narrowed=narrowed)
    assert seen == [True] * 3
    assert inside == [False]


def test_diverging_training_names_its_step(compressed: _Trained) -> None:
    student, teacher, head, examples = compressed
    examples.x.tensors["x"][5] = float("nan")
    with pytest.raises(BadInput, match=r"^training the compact model: the loss is nan at step \d of 50\n"):
        _recover((student, teacher, head, examples), 50)


def test_a_gradient_that_is_not_finite_names_its_step(compressed: _Trained) -> None:
    student, teacher, head, examples = compressed
    next(parameter for parameter in student.parameters() if parameter.requires_grad).register_hook(lambda g: g / 0)
    with pytest.raises(BadInput, match=r"^training the compact model: the gradient is (nan|inf) at step 1 of 5\n"):
        _recover((student, teacher, head, examples), 5)


def test_nothing_is_learned_from_no_examples(compressed: _Trained) -> None:
    student, teacher, head, examples = compressed
    none = examples[:0]
    with pytest.raises(BadInput, match="there is no example to learn from"):
        _recover((student, teacher, head, none), 5)


def test_a_teacher_is_the_dense_model_that_learned_the_task(compressed: _Trained) -> None:
    _, dense, head, examples = compressed
    y = (examples.y + 1) % 3
    before = copy.deepcopy((dense.state_dict(), head.state_dict()))
    taught, reads = teach(
        dense,
        head,
        Examples(examples.x, y),
        steps=100,
        learning_rate=1e-2,
        head_rate=1e-2,
        batch=32,
        seed=0,
        on_progress=lambda *_: None,
    )
    assert (reads(taught(*examples.x)).argmax(1) == y).float().mean() > 0.9
    assert not any(parameter.requires_grad for module in (taught, reads) for parameter in module.parameters())
    for old, module in zip(before, (dense, head), strict=True):
        for name, value in module.state_dict().items():
            torch.testing.assert_close(value, old[name], atol=0, rtol=0)


def test_a_head_learns_at_its_own_rate(compressed: _Trained) -> None:
    _, dense, head, examples = compressed
    how = {"steps": 3, "batch": 32, "seed": 0, "on_progress": lambda *_: None}
    taught, reads = teach(dense, head.requires_grad_(True), examples, learning_rate=1e-4, head_rate=1e-2, **how)
    body, top = ((new[0].weight - old[0].weight).abs().max() for new, old in ((taught, dense), ([reads], [head])))
    assert top > 20 * body > 0


def test_with_a_support_the_student_is_closer_on_what_is_like_it(compressed: _Trained) -> None:
    """General examples say little of a region that the task alone is in."""
    student, teacher, head, examples = compressed
    shifted = examples.x.tensors["x"] + 3
    like_it = Examples(shifted[48:], examples.y[48:])
    apart, own = Examples(shifted[:48], torch.zeros(48, dtype=torch.int64)), []
    for support in (None, apart):
        trained = copy.deepcopy(student)
        how = {"recipe": parse_recipe("kd+factors"), "steps": 120, "seed": 0, "on_progress": lambda *_: None}
        recover(trained, teacher, head, examples, support=support, **how)
        own.append(_distance((trained, teacher, head, like_it)))
    assert own[1] < 0.7 * own[0]


def test_labels_of_a_support_are_not_read(compressed: _Trained) -> None:
    """They may be of classes that the head does not know."""
    student, teacher, head, examples = compressed
    found = []
    for label in (0, 99):
        trained, support = copy.deepcopy(student), Examples(examples.x[:8], torch.full((8,), label))
        how = {"recipe": parse_recipe("kd+gradient+beta"), "steps": 5, "seed": 0, "on_progress": lambda *_: None}
        recover(trained, teacher, head, examples, support=support, **how)
        found.append(trained(*examples.x))
    torch.testing.assert_close(*found, atol=0, rtol=0)


def test_a_support_does_not_make_enough_examples_of_few(compressed: _Trained) -> None:
    """Batch normalisation that did not learn keeps the dense model's statistics."""
    student, teacher, head, examples = compressed
    several = examples[[*range(len(examples))] * 2]
    before = student[1].running_mean.clone()
    how = {"recipe": parse_recipe("kd"), "steps": 2, "seed": 0, "on_progress": lambda *_: None}
    recover(student, teacher, head, several, support=examples, **how)
    torch.testing.assert_close(student[1].running_mean, before, atol=0, rtol=0)


def test_only_cores_move(compressed: _Trained) -> None:
    student, teacher, head, _ = compressed
    before = [copy.deepcopy(module.state_dict()) for module in (student, teacher, head)]
    _recover(compressed, 5)
    after = [module.state_dict() for module in (student, teacher, head)]
    moved = [
        name for old, new in zip(before, after, strict=True) for name in old if not torch.equal(old[name], new[name])
    ]
    assert moved == ["0.core.weight", "4.core.weight"]


def test_a_recipe_may_train_bases_and_biases_too_and_leaves_them_frozen(compressed: _Trained) -> None:
    student = compressed[0]
    layers = {name for name, _ in student.named_parameters() if name.split(".")[0] in ("0", "4")}
    before, cores = copy.deepcopy(student.state_dict()), {"0.core.weight", "4.core.weight"}
    _recover(compressed, 5, parse_recipe("kd+factors"))
    moved = {name for name, value in student.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == layers
    assert {name for name, value in student.named_parameters() if value.requires_grad} == cores
    assert len(layers) == 8  # down, core, up and its bias, twice


def test_a_recipe_may_train_all_of_the_network(compressed: _Trained) -> None:
    student = compressed[0]
    before, frozen = copy.deepcopy(student.state_dict()), {name for name, value in student.named_parameters()}
    _recover(compressed, 5, parse_recipe("kd+network"))
    moved = {name for name, value in student.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == frozen
    assert {name for name, value in student.named_parameters() if value.requires_grad} == {
        "0.core.weight",
        "4.core.weight",
    }


def test_batch_normalisation_learns_its_statistics_where_there_is_enough_to_learn_from(compressed: _Trained) -> None:
    student, teacher, head, examples = compressed
    norm = student.get_submodule("1")
    before = norm.running_mean.clone()
    _recover(compressed, 5)
    torch.testing.assert_close(norm.running_mean, before, atol=0, rtol=0)  # 96 examples are too few
    many = examples[[*range(len(examples))] * 4]
    _recover((student, teacher, head, many), 5)
    seen = student.get_submodule("0")(*many.x)
    torch.testing.assert_close(norm.running_mean, seen.mean(0), atol=1e-5, rtol=1e-5)
    assert not norm.training


def test_all_factors_learn_more_than_cores_alone(compressed: _Trained) -> None:
    cores = (copy.deepcopy(compressed[0]), *compressed[1:])
    _recover(cores, 120)
    _recover(compressed, 120, parse_recipe("kd+factors"))
    assert _distance(compressed) < 0.7 * _distance(cores)


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
