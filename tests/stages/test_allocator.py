"""A policy trained for a model chooses that model's ranks, task by task, and another model refuses it."""

from collections.abc import Iterator
from itertools import repeat
from pathlib import Path

import pytest
from workplace import MODEL, PLAIN, TASK, Workplace, inside, make_workplace

from toolkit import stages
from toolkit.choice import DENSE, Choice, all_dense, rank
from toolkit.compression import Cost, CostTable, Limits, compressible_layers, matrix
from toolkit.compression.allocation import fits
from toolkit.compression.policy import load_policy, save_policy
from toolkit.distillation import train_policy
from toolkit.errors import BadInput
from toolkit.examples.digits import DigitsViT
from toolkit.examples.digits import task as digits_task
from toolkit.progress import Silent
from toolkit.request import Request
from toolkit.stages import Watch
from toolkit.stages.load import Job
from toolkit.stages.worth import Worth, weigh

RANKS = (1, 2, 4, 8)
SHIPPED = Path(stages.__file__).parents[1] / "examples" / "digits_policy.safetensors"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    made = make_workplace(tmp_path_factory.mktemp("place"))
    with inside(made):
        yield made


def choices(worth: Worth, job: Job) -> CostTable:
    """Times and bytes in proportion to weights."""
    layers: dict[str, dict[Choice, Cost]] = {}
    for name, layer in job.layers.items():
        m, n = matrix(layer).shape
        weights = {DENSE: m * n, **{each: (each.size or 0) * (m + n) for each in worth.gains[name].by_choice}}
        layers[name] = {each: Cost(1e-6 * count, 4 * count) for each, count in weights.items()}
    return CostTable(layers, 1e-4, 100)


def test_a_trained_policy_chooses_within_every_limit(place: Workplace) -> None:
    job = stages.load(Request(model=MODEL, task=TASK, **PLAIN), place.target, Watch(Silent()))
    offered = {
        name: tuple(rank(r) for r in RANKS if r < min(matrix(layer).shape) // 2) for name, layer in job.layers.items()
    }
    worth = weigh(job, offered, "jactus", 0, Watch(Silent()))
    policy = train_policy(
        job.network.backbone,
        job.layers,
        worth.spectra,
        worth.gains,
        repeat(job.task),
        steps=4,
        room=(0.2, 0.6),
        seed=0,
        on_progress=lambda *_: None,
    )
    file = place.folder / "policy.safetensors"
    save_policy(policy, file)
    request = Request(model=MODEL, task=TASK, allocator="policy", policy=file)
    chosen = stages.load(request, place.target, Watch(Silent())).allocator
    costs = choices(worth, job)
    dense = costs.size_bytes(all_dense(job.layers))
    gains = []
    for share in (0.15, 0.3, 0.6, 1.0):
        limits = Limits(size_bytes=int(share * dense), latency_ms=share * costs.latency_ms(all_dense(job.layers)))
        found = chosen(worth.gains, costs, limits)
        assert fits(found.selection, costs, limits)
        gains.append(found.gain)
    assert gains == sorted(gains)
    assert gains[-1] > gains[0]


def test_the_policy_of_the_example_is_of_the_example() -> None:
    policy = load_policy(SHIPPED)
    layers = compressible_layers(DigitsViT(), digits_task().support.x[:1])
    shapes = {name: tuple(matrix(layer).shape) for name, layer in layers.items() if name != "head"}
    assert policy.backbone.shapes == shapes


def test_the_policy_of_another_model_is_refused(place: Workplace) -> None:
    request = Request(model=MODEL, task=TASK, allocator="policy", policy=SHIPPED)
    with pytest.raises(BadInput, match="trained for another backbone than this model's: its layers are others"):
        stages.load(request, place.target, Watch(Silent()))
