"""A release carries some of what its network knew before: general data that nothing is trained on."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from learned_blobs import LEARNED
from serving import blobs
from workplace import MODEL, PLAIN, ROOMY_MS, TASK, inside, make_workplace, one_object

from toolkit import pipeline, stages
from toolkit.progress import Silent
from toolkit.request import Overrides, Request
from toolkit.stages import Watch
from toolkit.stages.guard import guard
from toolkit.stages.load import Job
from toolkit.tasks import Examples


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    place = make_workplace(tmp_path_factory.mktemp("place"))
    with inside(place):
        loaded = stages.load(Request(MODEL, TASK, **PLAIN), place.target, Watch(Silent()))
        yield replace(loaded, start="pretrained")


def _with(job: Job, count: int, values: int = 64) -> Job:
    """General data held out: so many examples of so many values, each of which says which it is."""
    x = torch.arange(count, dtype=torch.float32)[:, None].expand(count, values).contiguous()
    return replace(job, task=replace(job.task, general_query=Examples(x, torch.arange(count) % 7)))


def test_it_is_some_of_the_general_data_with_their_own_labels(job: Job) -> None:
    found = guard(_with(job, 500), 0.02)
    assert found is not None
    assert (len(found.inputs), found.max_forgetting) == (128, 0.02)
    [x] = found.inputs
    assert len(set(x[:, 0].tolist())) == 128
    assert torch.equal(x[:, 0].long() % 7, found.targets)
    again = guard(_with(job, 500), 0.02)
    assert again is not None
    assert torch.equal(again.targets, found.targets)


@pytest.mark.parametrize(
    ("count", "values", "carried"), [(31, 8, None), (32, 8, 32), (500, 6_000, 43), (500, 9_000, None)]
)
def test_it_is_no_larger_than_a_megabyte_and_none_where_that_is_too_few(
    job: Job, count: int, values: int, carried: int | None
) -> None:
    """Of float32: 43 of 6,000 values each, 29 of 9,000."""
    found = guard(_with(job, count, values), 0.01)
    assert (len(found.inputs) if found else None) == carried


def test_there_is_none_of_a_head_that_starts_from_the_tasks_examples(job: Job) -> None:
    assert guard(replace(_with(job, 500), start="fitted"), 0.01) is None
    assert guard(job, 0.01) is None  # nor of a task without general data


def test_a_board_tells_what_learning_costs_of_it(tmp_path: Path) -> None:
    """Of the 180 general examples that are held out, which the network tells apart."""
    place = make_workplace(tmp_path)
    (place.folder / "my_package" / "learned.py").write_text(LEARNED)
    model, task = "my_package.learned:of_three", "my_package.learned:task"
    request = Request(model, task, shots=10, recovery_steps=3, adapt_steps=5, **PLAIN)
    with inside(place):
        found = pipeline.deploy(request, place.target, Overrides(latency_ms=ROOMY_MS), Silent(), tmp_path / "run")
    assert found.adaptation is not None
    assert found.adaptation.guard is not None
    assert found.adaptation.guard.examples == 128
    assert found.accuracy is not None
    assert found.accuracy.general_compact is not None
    assert found.adaptation.guard.score_before == pytest.approx(found.accuracy.general_compact.value, abs=0.1)
    before = found.adaptation.guard.score_before
    asked = "adapt", "--target", "desk", "--support", str(_blobs(tmp_path)), "--max-forgetting", "0%"
    told = one_object(place.deploy(*asked, "--json").stdout)
    assert (told["guard"]["examples"], told["guard"]["score_before"]) == (128, before)
    if told["accepted"]:
        assert told["guard"]["score_after"] >= before


def _blobs(folder: Path) -> Path:
    x, y = blobs()
    np.savez(folder / "more.npz", x=x, y=y)
    return folder / "more.npz"
