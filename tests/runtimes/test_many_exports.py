"""Composite operators are looked up once a process, and what is exported stays the same."""

import pytest
import torch
from torch import nn

from toolkit.runtimes import RUNTIMES, Program


def _exported_twice(runtime: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Program, Program, list[str]]:
    """One layer, exported and exported again, and what torch's registry was asked for by the second export."""
    layer, x = nn.Conv2d(2, 3, 3), torch.randn(1, 2, 6, 6, generator=torch.Generator().manual_seed(0))
    [first] = RUNTIMES[runtime].export_layers([layer], [x])
    asked: list[str] = []
    registered = torch._C._dispatch_get_registrations_for_dispatch_key

    def ask(key: str) -> list[str]:
        asked.append(key)
        return registered(key)

    monkeypatch.setattr(torch._C, "_dispatch_get_registrations_for_dispatch_key", ask)
    [second] = RUNTIMES[runtime].export_layers([layer], [x])
    return first, second, asked


def test_a_second_export_to_onnx_asks_the_registry_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, asked = _exported_twice("onnxruntime", monkeypatch)
    assert not asked
    assert first.data == second.data


@pytest.mark.usefixtures("compiler")
def test_a_second_export_to_executorch_asks_the_registry_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, asked = _exported_twice("executorch", monkeypatch)
    assert not asked
    assert first.data == second.data
