"""What names a model without drawing it: the same for other weights, another for whatever may change its graph."""

import copy
import importlib
from pathlib import Path

import pytest
import torch
from torch import nn

from toolkit.profiling.anatomy import anatomy, code_of


class Scaled(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor
        self.layer = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.factor * self.layer(x)


def test_weights_do_not_count_and_all_else_does() -> None:
    assert anatomy(Scaled(2.0)) == anatomy(Scaled(2.0))
    assert anatomy(Scaled(2.0)) != anatomy(Scaled(3.0))
    assert anatomy(nn.Linear(4, 4)) != anatomy(nn.Linear(4, 4, bias=False))
    two = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    tied = copy.deepcopy(two)
    tied[1].weight = tied[0].weight
    assert anatomy(two) != anatomy(tied)


def test_what_cannot_be_pickled_is_not_known() -> None:
    model = nn.Linear(4, 4)
    model.activation = lambda x: x  # type: ignore[assignment]
    assert anatomy(model) is None


def test_the_code_beside_the_models_class_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "anatomy_parts.py").write_text("def twice(x):\n    return 2 * x\n")
    (tmp_path / "anatomy_model.py").write_text(
        "from anatomy_parts import twice\nfrom torch import nn\n\nclass Model(nn.Linear):\n    pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    model = importlib.import_module("anatomy_model").Model(2, 2)
    before = code_of(model)
    (tmp_path / "anatomy_parts.py").write_text("def twice(x):\n    return x + x\n")
    assert code_of(model) != before
    assert code_of(nn.Linear(2, 2)) == code_of(nn.ReLU())
