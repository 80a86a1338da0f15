"""Precision is a choice: what is asked for is obeyed, on the real runtime, and the board still learns."""

from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest
from workplace import MODEL, PLAIN, ROOMY_MS, TASK, Workplace, inside, make_workplace

from toolkit import pipeline, profiling, stages
from toolkit.choice import DENSE, Choice
from toolkit.deployment import Deployment
from toolkit.errors import BadInput
from toolkit.profiling import NotStored, Profile
from toolkit.profiling.signature import parse_signature
from toolkit.progress import Silent
from toolkit.request import Overrides, Request, require_precision
from toolkit.runtimes import Runtime
from toolkit.runtimes.arithmetic import parse_arithmetic
from toolkit.stages import Watch
from toolkit.stages.choose_runtime import asked_forms, asked_runtimes
from toolkit.stages.learn import plain_costs
from toolkit.stages.load import Job
from toolkit.stages.precisions import ALL_FP32, choose_precisions, in_precision
from toolkit.stages.probe import Known
from toolkit.stages.profile import Profiled

REQUEST = Request(MODEL, TASK, recovery_steps=3, adapt_steps=5, **PLAIN | {"precision": "int8"})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    made = make_workplace(tmp_path_factory.mktemp("place"))
    with inside(made):
        yield made


@pytest.fixture(scope="module")
def deployed(place: Workplace) -> Deployment:
    overrides = Overrides(latency_ms=ROOMY_MS, size_bytes=24_000)
    return pipeline.deploy(REQUEST, place.target, overrides, Silent(), place.folder / "run")


def test_what_is_asked_for_in_int8_is_deployed_and_accepted(deployed: Deployment) -> None:
    assert deployed.refusals == ()
    assert deployed.active
    assert {each.precision for each in deployed.allocation} == {"int8"}


def test_a_quarter_of_the_bytes_hold_what_fp32_could_not(deployed: Deployment) -> None:
    assert deployed.size_bytes.measured is not None
    assert deployed.size_bytes.measured <= 24_000 < deployed.size_bytes.dense
    assert deployed.size_bytes.predicted == pytest.approx(deployed.size_bytes.measured, rel=0.1)


def test_the_board_learns_on_top_of_int8(deployed: Deployment) -> None:
    assert deployed.adaptation is not None
    assert deployed.adaptation.steps == 5
    assert deployed.accuracy is not None
    assert deployed.accuracy.task_adapted is not None


@pytest.mark.slow
def test_compact_layers_run_in_int8_with_cores_that_the_board_rounds(place: Workplace) -> None:
    _require_compact_int8(_wide(place, "onnxruntime"))


@pytest.mark.slow
def test_so_they_do_in_executorch(place: Workplace, compiler: object) -> None:
    _require_compact_int8(_wide(place, "executorch"))


def _wide(place: Workplace, runtime: str) -> Deployment:
    # What is timed decides nothing here, and each program of ExecuTorch is made for a second or more.
    request = replace(REQUEST, model="my_package.small:wide", runtime=runtime, profile_budget_s=5.0)
    overrides = Overrides(latency_ms=ROOMY_MS, size_bytes=1_200_000)  # of 8.7 MB in fp32, 2.2 MB in int8
    return pipeline.deploy(request, place.target, overrides, Silent(), place.folder / runtime)


def _require_compact_int8(found: Deployment) -> None:
    assert found.refusals == ()
    assert {each.precision for each in found.allocation} == {"int8"}
    assert "compact" in {each.choice for each in found.allocation}
    assert found.adaptation is not None
    assert found.adaptation.steps == 5


def test_layers_are_timed_in_the_precision_in_which_they_would_run(place: Workplace, deployed: Deployment) -> None:
    watch = Watch(Silent())
    job = stages.load(REQUEST, place.target, watch)
    profile = stages.profile(stages.recall(place.target, job, watch), job, watch)
    timed = {str(found.arithmetic) for text in profile.own if (found := parse_signature(text))}
    form = str(profile.precisions.arithmetics["int8"])
    assert timed == {"fp32", form}
    converted = {text.split(" on ")[0] for text in profile.profile.rows if text.startswith("convert")}
    assert converted >= {f"convert fp32 to {form}", f"convert {form} to fp32"}
    costs = plain_costs(profile)
    assert not costs.allows(dict.fromkeys(costs.parts, DENSE))
    assert costs.allows(dict.fromkeys(costs.parts, Choice(precision="int8")))
    assert profile.precisions.rival is not None


def test_a_precision_that_was_never_timed_is_refused_where_no_board_can_be_asked(
    place: Workplace, deployed: Deployment
) -> None:
    watch = Watch(Silent())
    job = stages.load(REQUEST, place.target, watch)
    board = stages.recall(place.target, job, watch)
    known = stages.profile(board, job, watch)
    bare = known.profile.without(list(known.profile.rows))
    with pytest.raises(NotStored):
        choose_precisions(board, job, known.dense, bare, known.path, watch)
    auto = replace(job, precision="auto")
    assert choose_precisions(board, auto, known.dense, bare, known.path, watch) == (ALL_FP32, bare)
    assert "was timed in none" in watch.notes[-1]


def test_in_fp32_nothing_else_is_timed(place: Workplace, deployed: Deployment) -> None:
    watch = Watch(Silent())
    job = stages.load(replace(REQUEST, precision="fp32"), place.target, watch)
    profile = stages.profile(stages.recall(place.target, job, watch), job, watch)
    assert all(choice.precision == "fp32" for part in profile.parts.values() for choice in part.pieces)
    assert profile.precisions.rival is None


def test_what_the_runtime_has_no_int8_for_is_listed_again_and_again(place: Workplace) -> None:
    request = replace(REQUEST, model="my_package.small:odd")
    overrides = Overrides(latency_ms=ROOMY_MS)
    for attempt in range(2):  # the second finds its bundle in the cache
        found = pipeline.deploy(request, place.target, overrides, Silent(), place.folder / f"odd {attempt}")
        assert found.active
        assert sum("grown, Softmax stay fp32" in note for note in found.notes) == 1, found.notes
        assert {each.layer: each.precision for each in found.allocation}["first"] == "int8"
    planned = pipeline.plan(request, place.target, overrides, Silent(), place.folder / "planned")
    assert sum("grown, Softmax stay fp32" in note for note in planned.notes) == 1, planned.notes


def _where_int8_is_slower(place: Workplace) -> tuple[Known, Job, Profiled, Profile]:
    """This board's profile, but that the dense network takes three times as long in int8.

    The board is asked: another network's run that found it faster than before may have dropped what was stored.
    """
    known = pipeline.profile(REQUEST, place.target, Silent())
    watch = Watch(Silent())
    job = stages.load(REQUEST, place.target, watch)
    board = stages.recall(place.target, job, watch)
    rows = dict(known.profile.rows)
    for form in ("signed", "unsigned"):
        key = profiling.row_of(in_precision(job, parse_arithmetic(f"int8 {form}")))
        rows[key] = rows[key].model_copy(update={"median_ms": 3 * known.dense.measurement.median_ms})
    return board, job, known, known.profile.model_copy(update={"rows": rows})


def test_where_int8_is_slower_auto_leaves_it_and_says_so(place: Workplace, deployed: Deployment) -> None:
    board, job, known, slow = _where_int8_is_slower(place)
    watch = Watch(Silent())
    found, _ = choose_precisions(board, replace(job, precision="auto"), known.dense, slow, known.path, watch)
    assert set(found.arithmetics) == {"fp32"}
    assert "gains nothing from int8" in watch.notes[-1]


def test_where_int8_is_slower_it_is_obeyed_and_said(place: Workplace, deployed: Deployment) -> None:
    board, job, known, slow = _where_int8_is_slower(place)
    watch = Watch(Silent())
    found, _ = choose_precisions(board, job, known.dense, slow, known.path, watch)
    assert found.demanded
    assert set(found.arithmetics) == {"fp32", "int8"}
    assert any("gains nothing from int8" in note for note in watch.notes)


def test_a_runtime_without_that_precision_is_refused_before_anything_is_loaded(place: Workplace) -> None:
    watch = Watch(Silent())
    with pytest.raises(BadInput) as caught:
        stages.load(replace(REQUEST, runtime="executorch", precision="fp16"), place.target, watch)
    assert (caught.value.what, caught.value.where) == ("runtime executorch has no fp16", "--precision fp16")
    assert watch.stages == []
    either = place.target.model_copy(update={"runtimes": ("executorch", "onnxruntime")})
    assert asked_runtimes(replace(REQUEST, precision="fp16"), either) == ("onnxruntime",)
    assert asked_runtimes(replace(REQUEST, precision="auto"), either) == ("executorch", "onnxruntime")


def test_a_runtime_that_has_fp32_alone_is_passed_over_by_auto() -> None:
    bare = cast("Runtime", SimpleNamespace(name="bare", arithmetics=()))
    assert asked_forms(bare, "auto") == ()
    assert asked_forms(bare, "fp32") == ()


@pytest.mark.parametrize("allocator", ["uniform", "magnitude", "random", "policy"])
def test_an_allocator_of_ranks_alone_refuses_another_precision(allocator: str) -> None:
    with pytest.raises(BadInput) as caught:
        require_precision(allocator, "int8")
    assert caught.value.where == "--precision int8"
    require_precision(allocator, "auto")
    assert Request(allocator=allocator).offered.precision == "fp32"
