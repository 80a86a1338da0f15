"""A release carries some of what its network knew before: general data that nothing is trained on."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from learned_blobs import LEARNED
from serving import blobs
from torch import nn
from workplace import MODEL, PLAIN, ROOMY_MS, TASK, inside, make_workplace, one_object

from toolkit import pipeline, stages
from toolkit.objectives import Regression
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


class _Seven(nn.Module):
    """The first seven values."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :7]


def _with(job: Job, count: int, values: int = 64) -> Job:
    """General data held out: so many examples of so many values, each of which says which it is."""
    x = torch.arange(count, dtype=torch.float32)[:, None].expand(count, values).contiguous()
    network = replace(job.network, backbone=_Seven(), head=None)
    task = replace(job.task, general_query=Examples(x, torch.arange(count) % 7))
    return replace(job, network=network, task=task)


def test_it_is_some_of_the_general_data_with_their_own_labels(job: Job) -> None:
    found = guard(_with(job, 500), 0.02, Watch(Silent()))
    assert found is not None
    assert (len(found.inputs), found.max_forgetting) == (128, 0.02)
    [x] = found.inputs
    assert len(set(x[:, 0].tolist())) == 128
    assert torch.equal(x[:, 0].long() % 7, found.targets)
    again = guard(_with(job, 500), 0.02, Watch(Silent()))
    assert again is not None
    assert torch.equal(again.targets, found.targets)


@pytest.mark.parametrize(
    ("count", "values", "carried", "said"),
    [
        (99, 8, None, "and there are 99"),
        (100, 8, 100, ""),
        (500, 4_500, 111, ""),
        (500, 5_100, None, "an example is 20.4 kB"),
    ],
)
def test_it_is_a_hundred_at_least_in_two_megabytes_or_none(
    job: Job, count: int, values: int, carried: int | None, said: str
) -> None:
    """Of float32. Who could have some is told why there are none."""
    watch = Watch(Silent())
    found = guard(_with(job, count, values), 0.01, watch)
    assert (len(found.inputs) if found else None) == carried
    assert (said in watch.notes[0]) if said else not watch.notes


def test_there_is_none_of_a_head_that_starts_from_the_tasks_examples(job: Job) -> None:
    watch = Watch(Silent())
    assert guard(replace(_with(job, 500), start="fitted"), 0.01, watch) is None
    assert guard(job, 0.01, watch) is None  # nor of a task without general data
    assert guard(_with(job, 500), 1.0, watch) is None  # nor where all may be forgotten
    assert not watch.notes


def test_a_score_that_is_no_share_guards_nothing(job: Job) -> None:
    several = _with(job, 500)
    assert several.task.general_query is not None
    general = replace(several.task.general_query, y=torch.arange(500.0)[:, None].expand(500, 7))
    regression = replace(several.task, general_query=general, objective=Regression((1.0,) * 7))
    exact = replace(several, task=regression)
    assert guard(exact, 0.01, Watch(Silent())) is not None
    wrong = replace(general, y=general.y + 1000)
    assert guard(replace(exact, task=replace(regression, general_query=wrong)), 0.01, Watch(Silent())) is None


def test_a_board_tells_what_learning_costs_of_it(tmp_path: Path) -> None:
    """Of the 180 general examples that are held out, which the network tells apart."""
    place = make_workplace(tmp_path)
    (place.folder / "my_package" / "learned.py").write_text(LEARNED)
    model, task = "my_package.learned:of_three", "my_package.learned:task"
    request = Request(model, task, shots=10, recovery_steps=3, adapt_steps=5, profile_budget_s=5.0, **PLAIN)
    with inside(place):
        found = pipeline.deploy(request, place.target, Overrides(latency_ms=ROOMY_MS), Silent(), tmp_path / "run")
    assert found.adaptation is not None
    assert found.adaptation.guard is not None
    assert found.adaptation.guard.examples == 128
    assert found.accuracy is not None
    assert found.accuracy.general_compact is not None
    assert found.adaptation.guard.score_before == pytest.approx(found.accuracy.general_compact.value, abs=0.1)
    before = found.adaptation.guard.score_before
    asked = "adapt", "--target", "desk", "--support", str(_wrongly_labelled(tmp_path)), "--steps", "200"
    free = one_object(place.deploy(*asked, "--max-forgetting", "100%", "--json").stdout)
    assert (free["guard"]["examples"], free["guard"]["score_before"]) == (128, before)
    assert free["accepted"]
    assert free["guard"]["score_after"] < before
    held = one_object(place.deploy(*asked, "--max-forgetting", "0%", "--json").stdout)
    if held["accepted"]:
        assert held["steps"] < free["steps"]
        assert held["guard"]["score_after"] >= before
    else:
        assert held["reason"].startswith("what it knew before is forgotten: accuracy on 128 examples of that fell")
    said = " ".join(place.deploy(*asked, "--max-forgetting", "100%").stdout.split())
    assert f"; of what it knew before, {before:.1%} -> {free['guard']['score_after']:.1%} on 128 examples)" in said


def _wrongly_labelled(folder: Path) -> Path:
    """Each blob is called as the next: to learn that is to forget."""
    x, y = blobs()
    np.savez(folder / "more.npz", x=x, y=[{"a": "b", "b": "c", "c": "a"}[name] for name in y])
    return folder / "more.npz"
