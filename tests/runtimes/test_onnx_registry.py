"""Torch's conversions are read once, and exports go on finding them."""

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn
from torch.onnx._internal.exporter._registration import ONNXRegistry

from toolkit.runtimes import RUNTIMES


def test_a_second_export_reads_no_conversion_anew_and_computes_the_same() -> None:
    layer, x = nn.Conv2d(2, 3, 3), torch.randn(1, 2, 6, 6, generator=torch.Generator().manual_seed(0))
    [first] = RUNTIMES["onnxruntime"].export_layers([layer], [x])
    registry = ONNXRegistry.from_torchlib()
    [second] = RUNTIMES["onnxruntime"].export_layers([layer], [x])
    assert ONNXRegistry.from_torchlib() is registry
    assert first.data == second.data
    session = onnxruntime.InferenceSession(second.data)
    holes = {each: layer.get_parameter(each).detach().numpy() for each in second.holes}
    [fed] = [each.name for each in session.get_inputs() if each.name not in holes]
    [found] = session.run(None, {fed: x.numpy(), **holes})
    assert np.asarray(found) == pytest.approx(layer(x).detach().numpy(), abs=1e-5)
