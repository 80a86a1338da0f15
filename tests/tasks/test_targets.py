"""What `y` of a file is, is what a task is."""

from pathlib import Path

import numpy as np
import pytest
import torch

from toolkit.objectives import CLASSIFICATION, Labelling, MultiLabel, Objective, Regression
from toolkit.tasks import load_task

_RANDOM = np.random.default_rng(0)
_X = _RANDOM.standard_normal((40, 3)).astype(np.float32)
_VALUES = _RANDOM.standard_normal((40, 2))


@pytest.mark.parametrize(
    ("y", "objective", "dtype", "classes", "support"),
    [
        (np.arange(40) % 4, CLASSIFICATION, torch.int64, ("0", "1", "2", "3"), 8),
        (_VALUES[:, 0], Regression.of(torch.from_numpy(_VALUES[:, :1])), torch.float32, (), 20),
        (_VALUES, Regression.of(torch.from_numpy(_VALUES)), torch.float32, (), 20),
        (np.arange(40, dtype=float)[:, None], None, torch.float32, (), 20),
        ((_VALUES > 0).astype(np.uint8), MultiLabel(), torch.float32, ("0", "1"), 20),
        (_RANDOM.integers(0, 3, (40, 4, 5)), Labelling(), torch.int64, ("0", "1", "2"), 20),
    ],
    ids=["labels", "value", "values", "whole values", "many labels", "pixels"],
)
def test_a_file_of_arrays_is_a_task_of_the_kind_of_its_targets(
    tmp_path: Path,
    y: np.ndarray,
    objective: Objective | None,
    dtype: torch.dtype,
    classes: tuple[str, ...],
    support: int,
) -> None:
    """Two shots: of each class, or ten times as many where there are none."""
    np.savez(tmp_path / "task.npz", x=_X, y=y, general_x=_X, general_y=y)
    task = load_task(str(tmp_path / "task.npz"), shots=2, seed=0)
    if isinstance(objective, Regression):
        assert isinstance(task.objective, Regression)
        assert task.objective.scales == pytest.approx(objective.scales, rel=1e-5)
    elif objective is not None:
        assert task.objective == objective
    assert task.classes == classes
    assert (len(task.support), len(task.query)) == (support, 40 - support)
    assert task.support.y.dtype == dtype
    assert task.general is not None
    assert task.general.y.dtype == dtype
    assert len(task.strata) == support
