"""A policy and the embeddings that it reads: what they depend on, what they refuse, and how they travel."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from torch import nn

from tests.choices import by_size
from toolkit.adaptation import fitted_head
from toolkit.compression import Cost, CostTable, Limits, compressible_layers
from toolkit.compression.policy import (
    Policy,
    PolicyNetwork,
    TaskEmbedding,
    embed_task,
    fingerprint,
    load_policy,
    room_of,
    save_policy,
)
from toolkit.errors import BadInput
from toolkit.tasks import Examples, draw_episodes, episode_task

_DIGITS = load_digits()
DIGITS = Examples(
    torch.tensor(_DIGITS.images / 16, dtype=torch.float32)[:, None], torch.tensor(_DIGITS.target, dtype=torch.int64)
)


def network(seed: int = 0, width: int = 12) -> nn.Module:
    torch.manual_seed(seed)
    first, second = nn.Conv2d(1, width, 3, padding=1), nn.Conv2d(width, 16, 3, padding=1)
    pool = nn.MaxPool2d(2)
    return nn.Sequential(first, nn.ReLU(), pool, second, nn.ReLU(), pool, nn.Flatten(), nn.Linear(64, 24)).eval()


def embedding_of(model: nn.Module, shots: int, seed: int, ways: int = 4) -> TaskEmbedding:
    task = episode_task(DIGITS, next(draw_episodes(DIGITS.y, ways=ways, shots=shots, queries=1, seed=seed)), "digits")
    layers = compressible_layers(model, task.support.x[:1])
    return embed_task(model, layers, task.support, fitted_head(model, task.support, ways), ways)


def trained_like(model: nn.Module, seed: int = 0) -> Policy:
    """A policy that says something: its last layer is not zero."""
    torch.manual_seed(seed)
    policy = PolicyNetwork()
    nn.init.normal_(policy.outer.weight)
    return Policy(fingerprint(compressible_layers(model, DIGITS.x[:1])), policy.eval())


@pytest.mark.parametrize("shots", [1, 5, 20])
def test_an_embedding_is_finite_and_the_same_again(shots: int) -> None:
    model = network()
    first, again = embedding_of(model, shots, seed=1), embedding_of(model, shots, seed=1)
    assert first.layers.shape == (3, 7)
    assert torch.isfinite(first.layers).all()
    assert torch.isfinite(first.task).all()
    assert torch.equal(first.layers, again.layers)
    assert not torch.equal(first.layers, embedding_of(model, shots, seed=2).layers)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_input_statistics_are_those_of_the_inputs() -> None:
    """The first layer sees the images themselves: one channel, so one dimension, and their mean square."""
    model = network()
    task = episode_task(DIGITS, next(draw_episodes(DIGITS.y, ways=4, shots=5, queries=1, seed=1)), "digits")
    found = embedding_of(model, shots=5, seed=1).layers[0]
    assert float(found[0]) == pytest.approx(float(task.support.x.tensors["x"].square().mean().log()), rel=1e-4)
    assert float(found[1]) == pytest.approx(1)


def test_thresholds_depend_on_task_and_room_and_are_relative() -> None:
    model = network()
    policy = trained_like(model)
    one, other = embedding_of(model, 5, seed=1), embedding_of(model, 1, seed=2)
    found = policy.log_thresholds(one, 0.3)
    assert sum(found.values()) == pytest.approx(0, abs=1e-6)
    assert found != policy.log_thresholds(other, 0.3)
    assert found != policy.log_thresholds(one, 0.1)


@pytest.mark.parametrize(
    ("other", "said"),
    [(network(seed=1), "its weights are others"), (network(width=8), "its layer 0 is 8 x 9, not 12 x 9")],
)
def test_an_embedding_by_another_backbone_is_refused(other: nn.Module, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        trained_like(network()).log_thresholds(embedding_of(other, 5, seed=1), 0.3)


def test_a_backbone_trained_again_is_the_same_one() -> None:
    model, again = network(), network()
    with torch.no_grad():
        for parameter in again.parameters():
            parameter += 0.2 * parameter.std() * torch.randn_like(parameter) if parameter.dim() > 1 else 0
    trained_like(model).log_thresholds(embedding_of(again, 5, seed=1), 0.3)


def test_a_policy_is_the_same_after_a_file(tmp_path: Path) -> None:
    model = network()
    policy, embedding = trained_like(model), embedding_of(model, 5, seed=1)
    save_policy(policy, tmp_path / "policy.safetensors")
    found = load_policy(tmp_path / "policy.safetensors")
    assert found.log_thresholds(embedding, 0.3) == policy.log_thresholds(embedding, 0.3)


def test_a_damaged_or_foreign_file_is_refused(tmp_path: Path) -> None:
    good, file = tmp_path / "good.safetensors", tmp_path / "policy.safetensors"
    save_policy(trained_like(network()), good)
    with safe_open(good, "pt") as opened:
        header = opened.metadata()["edge-deploy-policy"]
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    nan = {**tensors, "outer.bias": torch.tensor([float("nan")])}
    missing = {name: value for name, value in tensors.items() if name != "inner.weight"}
    file.write_bytes(good.read_bytes()[:-100])
    _refused(file, "cannot be read")
    file.write_text("not a policy")
    _refused(file, "cannot be read")
    _refused(tmp_path / "absent", "cannot be read")
    save_file(tensors, file)
    _refused(file, "holds tensors, but no policy")
    for held, text, said in (
        (tensors, header.replace('"schema_version": 2', '"schema_version": 7'), "version 7; this is 2"),
        (tensors, header.replace("fisher", "fisher2"), "other task embeddings"),
        (tensors, header[:-9], "damaged policy"),
        (tensors, "{}", "damaged policy"),
        (missing, header, "damaged policy"),
        (nan, header, "NaN"),
    ):
        save_file(held, file, {"edge-deploy-policy": text})
        _refused(file, said)


def test_room_is_the_share_of_the_tightest_limit() -> None:
    costs = CostTable({"a": by_size({None: Cost(3.0, 900), 8: Cost(1.0, 100)})}, 1.0, 100)
    assert room_of(costs, Limits()) == 1
    assert room_of(costs, Limits(latency_ms=2.0, size_bytes=900)) == 0.5
    assert room_of(costs, replace(Limits(), size_bytes=250)) == 0.25


def _refused(file: Path, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        load_policy(file)
