"""A model of token ids and a mask, as docs/your-model.md shows it, is timed, weighed and compressed like others."""

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from workplace import CHECKOUT, PLAIN, ROOMY_MS, Workplace, inside, make_workplace

from toolkit import pipeline, stages
from toolkit.choice import rank
from toolkit.compression import calibrate, compress
from toolkit.progress import Silent
from toolkit.request import Overrides, Request
from toolkit.stages import Watch
from toolkit.stages.jitter import jitter
from toolkit.stages.load import Job
from toolkit.stages.spectra import draw_spectra
from toolkit.stages.worth import calibration, true_loss

REQUEST = Request("my_package.reader:build", "my_package.reader:task", **PLAIN)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    made = make_workplace(tmp_path_factory.mktemp("place"))
    text = (CHECKOUT / "docs" / "your-model.md").read_text(encoding="utf-8")
    [shown] = re.findall(r"## Several inputs.*?```python\n(.*?)```", text, re.DOTALL)
    (made.folder / "my_package" / "reader.py").write_text(shown)
    with inside(made):
        yield made


@pytest.fixture(scope="module")
def job(place: Workplace) -> Job:
    return stages.load(REQUEST, place.target, Watch(Silent()))


def test_it_is_loaded_and_its_layers_may_become_compact(job: Job) -> None:
    assert [port.dtype for port in job.example.ports] == ["int64", "bool"]
    assert list(job.layers) == ["mixed"]
    assert (job.network.feature_size, job.start) == (128, "fitted")


def test_names_are_not_shaken(job: Job) -> None:
    assert jitter(job) == {"input_ids": 0.0, "attention_mask": 0.0}


def test_gradients_get_to_its_layers_through_the_embedding(job: Job) -> None:
    [found] = calibrate(job.network.backbone, job.layers, calibration(job, 0).batches()).values()
    assert found.sigma_x.diagonal().min() > 0
    assert found.sigma_g.diagonal().max() > 0


def test_its_components_are_worth_something(job: Job) -> None:
    spectra, _ = draw_spectra(job, "jactus", calibration(job, 0), 0)
    loss = true_loss(job, 0)
    few, many = (loss(compress(job.network.backbone, spectra, {"mixed": rank(size)})) for size in (1, 32))
    assert few > many > 0


def test_it_is_timed_on_its_own_inputs_and_made_to_fit(place: Workplace) -> None:
    """No runtime would take normal deviates for names and a mask."""
    dense = pipeline.plan(REQUEST, place.target, Overrides(latency_ms=ROOMY_MS), Silent(), place.folder / "dense")
    tight = Overrides(latency_ms=ROOMY_MS, size_bytes=dense.size_bytes.dense - 10_000)
    found = pipeline.plan(REQUEST, place.target, tight, Silent(), place.folder / "tight")
    assert [(each.layer, each.choice) for each in found.allocation] == [("mixed", "compact")]
    assert found.size_bytes.predicted <= found.size_bytes.budget


def test_it_is_deployed_and_learns_on_the_board(place: Workplace) -> None:
    """In fp32, smaller than dense; names travel as names, to the board and through its programs."""
    dense = pipeline.plan(REQUEST, place.target, Overrides(latency_ms=ROOMY_MS), Silent(), place.folder / "dense")
    request = replace(REQUEST, recovery_steps=20, adapt_steps=10)
    assert dense.size_bytes.dense is not None
    tight = Overrides(latency_ms=ROOMY_MS, size_bytes=dense.size_bytes.dense - 10_000)
    (place.folder / "done").mkdir()
    result = pipeline.deploy(request, place.target, tight, Silent(), place.folder / "done")
    assert result.active
    assert result.adaptation is not None
    assert result.adaptation.trained_values > 0
    assert result.host_device_max_relative_difference is not None
    assert result.host_device_max_relative_difference < 1e-3
