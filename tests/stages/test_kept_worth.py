"""What layers are worth is computed once: an interrupted run goes on with the next measurement, another finds all."""

from collections.abc import Iterator
from unittest.mock import patch

import pytest
import torch
from torch import nn
from workplace import MODEL, PLAIN, TASK, Workplace, inside, make_workplace

from tests.choices import ranks
from toolkit import stages
from toolkit.choice import rank
from toolkit.compression import CURVES
from toolkit.progress import Silent
from toolkit.request import Request
from toolkit.stages import Watch, worth
from toolkit.stages.accuracy import accuracy_before_recovery, expected_accuracy
from toolkit.stages.load import Job
from toolkit.stages.worth import Worth, weigh


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    made = make_workplace(tmp_path_factory.mktemp("place"))
    with inside(made):
        yield made


@pytest.fixture
def job(place: Workplace) -> Job:
    return stages.load(Request(MODEL, TASK, **PLAIN), place.target, Watch(Silent()))


class Computed:
    """Counts curves that are drawn and losses that are measured; the loss of that number is interrupted."""

    def __init__(self, interrupted_at: int | None = None) -> None:
        self.curves, self.losses, self.interrupted_at = 0, 0, interrupted_at

    def weigh(self, job: Job) -> tuple[Worth, bool]:
        """The worth, and whether the watch was told that all was kept."""
        measured, draw = worth.true_loss(job, 0), CURVES["jactus"]

        def loss(backbone: nn.Module) -> float:
            self.losses += 1
            if self.losses == self.interrupted_at:
                raise KeyboardInterrupt
            return measured(backbone)

        def curve(*arguments: object) -> object:
            self.curves += 1
            return draw(*arguments)  # type: ignore[arg-type]

        watch = Watch(Silent(), was_cached=True)
        with patch.object(worth, "true_loss", lambda *_: loss), patch.dict(CURVES, jactus=curve):
            found = weigh(job, dict.fromkeys(job.layers, (rank(2), rank(4), rank(8))), "jactus", 0, watch)
        return found, watch.was_cached


def test_an_interrupted_measurement_goes_on_in_the_middle(job: Job) -> None:
    total = 3 * len(job.layers)
    cut = Computed(interrupted_at=4)
    with pytest.raises(KeyboardInterrupt):
        cut.weigh(job)
    assert (cut.curves, cut.losses) == (1, 4)
    resumed = Computed()
    found, was_kept = resumed.weigh(job)
    assert (resumed.curves, resumed.losses) == (0, total - 3)
    assert not was_kept
    again = Computed()
    same, was_kept = again.weigh(job)
    assert (again.curves, again.losses) == (0, 0)
    assert was_kept
    assert same.gains == found.gains
    for name, spectrum in found.spectra.items():
        for field in ("u", "left", "values", "right", "v"):
            assert torch.equal(getattr(spectrum, field), getattr(same.spectra[name], field))
        assert spectrum.removal == same.spectra[name].removal


def test_a_model_is_judged_once(job: Job) -> None:
    found, _ = Computed().weigh(job)
    chosen = ranks(dict.fromkeys(job.layers, 2))
    first = accuracy_before_recovery(job, found.spectra, chosen), expected_accuracy(job, found.spectra, chosen)
    with (
        patch("toolkit.stages.accuracy.features_of", side_effect=AssertionError),
        patch("toolkit.stages.accuracy.fitted_right", side_effect=AssertionError),
    ):
        second = accuracy_before_recovery(job, found.spectra, chosen), expected_accuracy(job, found.spectra, chosen)
        assert second == first
        with pytest.raises(AssertionError):
            expected_accuracy(job, found.spectra, ranks(dict.fromkeys(job.layers, 4)))
