"""int8 that finds its ranges at each call: where ranges known beforehand lose, on the real runtime, and learned on."""

from collections.abc import Iterator

import onnx
import pytest
from workplace import PLAIN, ROOMY_MS, Workplace, inside, make_workplace

from toolkit import pipeline, profiling, stages
from toolkit.profiling import Profile
from toolkit.progress import Silent
from toolkit.request import Overrides, Request
from toolkit.runtimes.arithmetic import parse_arithmetic
from toolkit.stages import Watch
from toolkit.stages.load import Job
from toolkit.stages.precisions import Precisions, choose_precisions, in_precision
from toolkit.stages.quantise import least_loss

# The length of an example varies a thousandfold, and says nothing: its class is its direction. Of 255 steps for all
# lengths a short example gets none.
_LENGTHS = """
import torch
from torch import nn

from toolkit.tasks import Examples, Task

def drawn(count, seed):
    draw = torch.Generator().manual_seed(seed)
    y = torch.arange(3).repeat_interleave(count)
    x = 0.2 * torch.randn(len(y), 12, generator=draw) + torch.eye(3, 12)[y]
    return Examples(x * 10 ** (3 * torch.rand(len(y), 1, generator=draw)), y)

class Direction(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Linear(12, 24, bias=False), nn.LayerNorm(24)
        self.second, self.head = nn.Linear(24, 24), nn.Linear(24, 3)

    def forward(self, x):
        return self.head(torch.relu(self.second(self.norm(self.first(x)))))

def model():
    torch.manual_seed(0)
    network, seen = Direction(), drawn(60, 1)
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(80):
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(*seen.x), seen.y).backward()
        optimiser.step()
    return network.eval()

def task(shots, seed):
    return Task("lengths", ("a", "b", "c"), drawn(shots, seed), drawn(60, 2), drawn(200, 3), drawn(60, 4))
"""
REQUEST = Request(
    "my_package.lengths:model",
    "my_package.lengths:task",
    recovery_steps=3,
    adapt_steps=5,
    **PLAIN | {"precision": "int8"},
)
DYNAMIC = parse_arithmetic("int8 dynamic")
STATIC = tuple(parse_arithmetic(f"int8 {form}") for form in ("signed", "unsigned"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    made = make_workplace(tmp_path_factory.mktemp("place"))
    (made.folder / "my_package" / "lengths.py").write_text(_LENGTHS)
    with inside(made):
        yield made


def _loaded(place: Workplace) -> Job:
    return stages.load(REQUEST, place.target, Watch(Silent()))


def _chosen(place: Workplace, factor: float) -> tuple[Precisions, list[str]]:
    """On a board on which it takes so many times as long as the others."""
    known = pipeline.profile(REQUEST, place.target, Silent())
    watch, job = Watch(Silent()), _loaded(place)
    board = stages.recall(place.target, job, watch)
    rows = dict(known.profile.rows)
    for form in (*STATIC, DYNAMIC):
        row = known.profile.rows[profiling.row_of(in_precision(job, form))]
        share = 0.5 * (factor if form == DYNAMIC else 1.0)
        took = {"median_ms": share * known.dense.measurement.median_ms}
        rows[profiling.row_of(in_precision(job, form))] = row.model_copy(update=took)
    profile: Profile = known.profile.model_copy(update={"rows": rows})
    found, _ = choose_precisions(board, job, known.dense, profile, known.path, watch)
    return found, watch.notes


def test_ranges_known_beforehand_lose_what_ranges_of_each_call_keep(place: Workplace) -> None:
    job = _loaded(place)
    assert least_loss(job, DYNAMIC) < 0.01
    assert all(least_loss(job, form) > 10 * least_loss(job, DYNAMIC) for form in STATIC)


@pytest.mark.parametrize(("factor", "dynamic"), [(0.9, True), (1.2, True), (1.3, False)])
def test_accuracy_is_worth_a_quarter_more_time(place: Workplace, factor: float, dynamic: bool) -> None:
    found, notes = _chosen(place, factor)
    assert (found.arithmetics["int8"] == DYNAMIC) == dynamic
    assert any("nats an example instead of" in note for note in notes) == (factor == 1.2)


def test_it_is_deployed_and_the_board_learns_on_top_of_it(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toolkit.stages.precisions._QUARTER_MORE", 1e6)  # a busy machine's clock is no judge
    found = pipeline.deploy(REQUEST, place.target, Overrides(latency_ms=ROOMY_MS), Silent(), place.folder / "run")
    assert found.refusals == ()
    assert found.active
    served = onnx.load(place.root / "current" / "infer.onnx", load_external_data=False)
    assert "DynamicQuantizeLinear" in {node.op_type for node in served.graph.node}
    assert found.adaptation is not None
    assert found.adaptation.steps == 5
