"""How ranges of activations are read is chosen by the true loss, and wild examples cost no accuracy."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from learned_blobs import LEARNED
from workplace import ROOMY_MS, TASK, Workplace, inside, make_workplace

from toolkit import pipeline, stages
from toolkit.choice import Choice
from toolkit.errors import BadInput
from toolkit.inputs import inputs_of
from toolkit.progress import Silent
from toolkit.request import Overrides, Request
from toolkit.runtimes.arithmetic import Arithmetic, Quantisation
from toolkit.runtimes.bundle import inference_graph, of_served
from toolkit.stages import Watch
from toolkit.stages.load import Job
from toolkit.stages.quantise import (
    best_ranges,
    calibration_examples,
    losses_by_ranges,
    only_timed,
    quantisation_of,
)
from toolkit.tasks import Examples

UNSIGNED, SIGNED = Arithmetic("int8", "unsigned"), Arithmetic("int8", "signed")
MODEL, CALM, WILD = (f"my_package.learned:{name}" for name in ("model", "task", "wild"))
REQUEST = Request(MODEL, CALM, recovery_steps=3, adapt_steps=5, precision="int8")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    made = make_workplace(tmp_path_factory.mktemp("place"))
    (made.folder / "my_package" / "learned.py").write_text(LEARNED)
    with inside(made):
        yield made


def _job(place: Workplace, task: str = CALM) -> Job:
    return stages.load(replace(REQUEST, task=task), place.target, Watch(Silent()))


def test_wild_examples_among_those_that_ranges_are_read_from_cost_min_max_the_predictions(place: Workplace) -> None:
    for arithmetic in (UNSIGNED, SIGNED):
        losses = losses_by_ranges(_job(place, WILD), arithmetic)
        assert losses["minmax"] > 0.5  # three classes: 1.1 nats is to know nothing
        assert losses["percentile"] < 0.05
        assert best_ranges(_job(place, WILD), arithmetic) != "minmax"
        assert losses_by_ranges(_job(place), arithmetic)["minmax"] < 0.05


def test_all_that_quantises_reads_them_as_was_chosen(place: Workplace) -> None:
    job = _job(place, WILD)
    chosen = dict.fromkeys(job.layers, Choice(precision="int8"))
    quantisation = quantisation_of(job, chosen, {"int8": UNSIGNED})
    assert quantisation is not None
    assert quantisation.ranges == best_ranges(job, UNSIGNED) != "minmax"


def test_a_method_is_judged_once_by_other_examples(place: Workplace) -> None:
    job = _job(place, WILD)
    before = losses_by_ranges(job, UNSIGNED)
    general = job.task.general
    assert general is not None
    nothing_is_run = replace(job, task=replace(job.task, general=Examples(torch.empty(0), general.y)))
    assert losses_by_ranges(nothing_is_run, UNSIGNED) == before
    calibrating = {each.numpy().tobytes() for each in calibration_examples(job).tensors["x"]}
    assert 0 < len(calibrating & {each.numpy().tobytes() for each in general.x.tensors["x"]}) < len(general) / 2


@pytest.mark.parametrize("arithmetic", [Arithmetic("int8", "dynamic"), Arithmetic("fp16")], ids=str)
def test_arithmetic_without_ranges_chooses_none(place: Workplace, arithmetic: Arithmetic) -> None:
    assert best_ranges(_job(place, WILD), arithmetic) == "minmax"


@pytest.mark.parametrize("shots", [1, 5])
def test_constant_examples_and_few_of_them_tie_or_are_judged(place: Workplace, shots: int) -> None:
    constant = stages.load(
        replace(REQUEST, task="my_package.learned:constant", shots=shots), place.target, Watch(Silent())
    )
    assert best_ranges(constant, UNSIGNED) == "minmax"
    few = stages.load(replace(REQUEST, task=TASK, shots=shots), place.target, Watch(Silent()))  # no general data
    assert all(loss >= 0 for loss in losses_by_ranges(few, SIGNED).values())


def test_examples_that_are_no_numbers_are_refused_before_anything_is_measured(place: Workplace) -> None:
    with pytest.raises(BadInput, match="NaN or infinity in 1 of 600"):
        _job(place, "my_package.learned:broken")


def test_wild_examples_cost_a_deployment_in_int8_no_accuracy(place: Workplace) -> None:
    _require_accuracy(place, "onnxruntime")


@pytest.mark.slow
def test_nor_do_they_in_executorch(place: Workplace, compiler: object) -> None:
    _require_accuracy(place, "executorch")


def _require_accuracy(place: Workplace, runtime: str) -> None:
    # What is timed decides nothing here, and each program of ExecuTorch is made for a second or more.
    request = replace(REQUEST, task=WILD, runtime=runtime, profile_budget_s=5.0)
    overrides = Overrides(latency_ms=ROOMY_MS)
    found = pipeline.deploy(request, place.target, overrides, Silent(), place.folder / runtime)
    assert found.active
    assert {each.precision for each in found.allocation} == {"int8"}
    assert any("activations are read by" in note for note in found.notes)
    table = found.accuracy
    assert table is not None
    assert table.general_dense is not None
    assert table.general_compact is not None
    assert table.general_dense.value > 0.9
    assert table.general_compact.value > table.general_dense.value - 0.03
    assert table.task_compact is not None
    assert table.task_compact.value > table.task_dense.value - 0.2  # of twelve queries


@pytest.mark.parametrize(("task", "shots"), [("my_package.learned:constant", 5), (TASK, 1)])
def test_constant_examples_and_one_a_class_are_deployed_in_int8(place: Workplace, task: str, shots: int) -> None:
    request = replace(REQUEST, task=task, shots=shots, profile_budget_s=5.0)
    found = pipeline.deploy(request, place.target, Overrides(latency_ms=ROOMY_MS), Silent(), place.folder / "few")
    assert found.active
    assert {each.precision for each in found.allocation} == {"int8"}


def test_what_is_only_timed_is_the_same_program_but_for_its_numbers(place: Workplace) -> None:
    job = _job(place, WILD)
    whole = Quantisation(UNSIGNED, inputs_of(calibration_examples(job)), "percentile")
    graph, holes = inference_graph(job.network.backbone, job.dense_head, job.example)
    full, timed = (job.runtime.export(graph, holes, of_served(each)) for each in (whole, only_timed(whole)))
    assert len(full.data) == len(timed.data)
    assert (full.nodes, full.holes, full.quantised_holes) == (timed.nodes, timed.holes, timed.quantised_holes)
