"""Recovery: what it starts from, and that nothing worse than that is deployed."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from workplace import PLAIN, Workplace, inside, make_workplace

from tests.choices import ranks
from toolkit import stages
from toolkit.compression import CURVES, Allocation, CostTable, Limits
from toolkit.profiling import Budget, Measurement, MemoryModel, Profile, WholeModel
from toolkit.profiling.latency_model import Interval
from toolkit.progress import Silent
from toolkit.request import Request
from toolkit.stages import Watch
from toolkit.stages.accuracy import Judgement, accuracy_of, is_worse, variation
from toolkit.stages.load import Job
from toolkit.stages.planned import Planned
from toolkit.stages.profile import Profiled
from toolkit.stages.worth import calibration
from toolkit.tasks import Examples

NORMS = '''
import torch
import torch.nn.functional as F
from torch import nn
from toolkit.tasks import Examples, Task

def examples(count, seed):
    """Four directions in the plane, in 16 dimensions of noise."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(count) % 4
    x = torch.randn(count, 16, generator=generator)
    x[:, 0] += 6.0 * (y % 2) - 3
    x[:, 1] += 6.0 * (y // 2) - 3
    return Examples(x, y)

def model():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(16, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 32), nn.Linear(32, 4))
    optimizer, data = torch.optim.Adam(net.parameters(), 1e-2), examples(512, 1)
    for _ in range(60):
        optimizer.zero_grad()
        F.cross_entropy(net(*data.x), data.y).backward()
        optimizer.step()
    return net.eval()

def relu():
    """Features that a large step can turn off for good."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 4)).eval()

def alone(shots=1, seed=0):
    return Task("directions", tuple("abcd"), examples(4, 2), examples(200, 3))

def task(shots=5, seed=0):
    names = tuple("abcd")
    return Task("directions", names, examples(20, 2), examples(200, 3), examples(512, 1), examples(400, 4))
'''


@dataclass
class Heard(Silent):
    """What was noted."""

    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    made = make_workplace(tmp_path_factory.mktemp("place"))
    (made.folder / "my_package" / "norms.py").write_text(NORMS)
    with inside(made):
        yield made


DENSE = WholeModel(Measurement(median_ms=1.0, p95_ms=1.0, min_ms=1.0, runs=1, warmups=0, load_ms=0.0), 1, 1)
UNMEASURED = Profiled(Profile.model_construct(), Path(), DENSE, MemoryModel(0.0, 1.0), {})
REQUEST = Request("my_package.norms:model", "my_package.norms:task", recovery_steps=40, recovery_rate=2e-3, **PLAIN)


@pytest.fixture(scope="module")
def job(place: Workplace) -> Job:
    return stages.load(REQUEST, place.target, Watch(Silent()))


def planned(job: Job, rank: int | None, curve: str = "jactus") -> Planned:
    """Every layer at that rank."""
    spectra = CURVES[curve](job.network.backbone, job.layers, calibration(job, 0), 0)
    allocation = Allocation(ranks(dict.fromkeys(job.layers, rank)), 0.0, 0, 0, 0.0, 0.0)
    costs, predicted = CostTable({}, 0.0, 0), Interval(0.0, 0.0, 0.0)
    return Planned(UNMEASURED, Budget(None, None, None), spectra, {}, costs, allocation, predicted, Limits(), ())


def norm_of(backbone: nn.Module) -> nn.BatchNorm1d:
    [norm] = [module for module in backbone.modules() if isinstance(module, nn.BatchNorm1d)]
    return norm


def test_without_recovery_statistics_are_the_compact_models_own(job: Job) -> None:
    found = stages.compress(job, planned(job, 1), replace(REQUEST, recovery_steps=0), Watch(Silent()))
    assert job.task.general is not None
    first = next(iter(found.backbone.children()))
    torch.testing.assert_close(norm_of(found.backbone).running_mean, first(*job.task.general.x).mean(0))
    assert found.recovery is not None
    assert not found.recovery.kept
    for judged in found.recovery.judged:
        assert judged.before == judged.after
    assert found.recovery.judged[0].before == accuracy_of(job, found.backbone)


def test_recovery_is_recorded_and_kept_where_it_helps(job: Job) -> None:
    watch, again = Watch(Heard()), Watch(Silent())
    longer = replace(REQUEST, recovery_steps=150, recovery_rate=1e-2)
    found = stages.compress(job, planned(job, 4, "random"), longer, watch)
    assert found.recovery is not None
    assert found.recovery.kept
    general, support = found.recovery.judged
    assert general.after == accuracy_of(job, found.backbone) > general.before
    assert support.data == "20 support examples"
    assert (found.recovery.steps, found.recovery.learning_rate, found.recovery.augment) == (150, 1e-2, ())
    assert watch.notes == []
    second = stages.compress(job, planned(job, 4, "random"), longer, again)
    assert again.was_cached
    assert second.recovery == found.recovery
    torch.testing.assert_close(second.backbone.state_dict(), found.backbone.state_dict(), atol=0, rtol=0)


def test_recovery_that_destroys_is_taken_back_and_told(job: Job) -> None:
    watch = Watch(Heard())
    found = stages.compress(job, planned(job, 4), replace(REQUEST, recovery_rate=1.0), watch)
    assert found.recovery is not None
    assert not found.recovery.kept
    general = found.recovery.judged[0]
    assert general.after < general.before == accuracy_of(job, found.backbone)
    [note] = watch.notes
    assert note.startswith("recovery made the compact model worse (")
    assert "recovery.rate" in note


def test_recovery_that_destroys_the_task_alone_is_taken_back_too(job: Job) -> None:
    """On general data the model is no better than chance before, and so cannot become worse."""
    general = job.task.general_query
    assert general is not None
    unknown = Examples(general.x, torch.randint(4, (len(general),), generator=torch.Generator().manual_seed(0)))
    blind = replace(job, task=replace(job.task, general_query=unknown), key="blind")
    watch = Watch(Heard())
    found = stages.compress(blind, planned(job, 4), replace(REQUEST, recovery_rate=1.0), watch)
    assert found.recovery is not None
    assert not found.recovery.kept
    assert [each.data for each in found.recovery.judged] == ["20 support examples"]
    assert "on 20 support examples)" in watch.notes[0]


@pytest.mark.parametrize(("rate", "blind"), [(1.0, True), (2e-3, False)])
def test_recovery_that_makes_blind_is_taken_back_though_no_example_can_be_held_out(
    place: Workplace, rate: float, blind: bool
) -> None:
    """One example a class and no general data; features that are all one need no proof."""
    request = Request(
        "my_package.norms:relu", "my_package.norms:alone", shots=1, recovery_steps=60, recovery_rate=rate, **PLAIN
    )
    few, watch = stages.load(request, place.target, Watch(Silent())), Watch(Heard())
    found = stages.compress(few, planned(few, 4), request, watch)
    assert found.recovery is not None
    assert (found.recovery.judged, found.recovery.collapsed, found.recovery.kept) == ((), blind, not blind)
    assert variation(few, found.backbone) > 0.01
    [note] = watch.notes
    assert note.startswith("recovery made the compact model blind" if blind else "nothing could be held out")


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=400))
def test_worse_is_never_what_chance_may_do_nor_what_wins_as_much(pairs: list[tuple[bool, bool]]) -> None:
    before, after = (Judgement(torch.tensor(right), "data") for right in zip(*pairs, strict=True))
    lost = sum(was and not now for was, now in pairs)
    won = sum(now and not was for was, now in pairs)
    if is_worse(after, before):
        assert lost > won
        assert lost >= 5  # four lost and none won are 6 % by chance
        assert not is_worse(before, after)
    elif lost >= 5:
        assert won > 0


def test_what_stays_dense_is_not_trained(job: Job) -> None:
    found = stages.compress(job, planned(job, None), REQUEST, Watch(Silent()))
    assert found.recovery is None
    torch.testing.assert_close(found.backbone.state_dict(), job.network.backbone.state_dict(), atol=0, rtol=0)


def test_the_compact_model_is_closer_to_the_dense_one_on_the_task_for_having_seen_its_support(job: Job) -> None:
    """The task's inputs are where no general ones are."""
    assert job.task.general is not None
    longer, plan, apart = replace(REQUEST, recovery_steps=150, recovery_rate=1e-2), planned(job, 4, "random"), []
    query = job.task.query.x.tensors["x"] + 4
    for support in (job.task.general, Examples(job.task.support.x.tensors["x"] + 4, job.task.support.y)):
        with_support = replace(job, task=replace(job.task, support=support), key=str(support.x.tensors["x"].sum()))
        backbone = stages.compress(with_support, plan, longer, Watch(Silent())).backbone
        apart.append(float((backbone(query) - job.network.backbone(query)).square().mean()))
    assert apart[1] < 0.8 * apart[0]
