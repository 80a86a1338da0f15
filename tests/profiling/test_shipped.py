"""The shipped profiles are of the bundled example: `deploy plan --target emulated-pi --offline` asks no board."""

import pytest
from torch import nn

from toolkit.examples.digits import DigitsViT, task
from toolkit.models import split_head
from toolkit.profiling.profile_file import read_profile
from toolkit.profiling.whole_models import Untimed, is_stored
from toolkit.shipped import shipped_folder


@pytest.mark.parametrize("runtime", ["onnxruntime", "executorch"])
def test_the_bundled_example_is_in_the_shipped_profile(runtime: str) -> None:
    asked = task()
    network = split_head(DigitsViT().eval(), asked.support.x[:1])
    assert network.head is not None
    head = nn.Linear(network.head.weight.shape[1], len(asked.classes))
    [path] = shipped_folder("profiles").glob(f"emulated-pi-{runtime}-*.json")
    assert is_stored(Untimed(network.backbone, head, asked.support.x[:1]), read_profile(path))
