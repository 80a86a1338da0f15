"""How much is calibrated on follows from the widest layer and from how many rows an example gives it."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import nn
from workplace import PLAIN, Workplace, inside, make_workplace

from toolkit import stages
from toolkit.progress import Silent
from toolkit.request import Request
from toolkit.stages import Watch
from toolkit.stages.worth import calibration
from toolkit.tasks import Examples

TOKENS = '''
import torch
from torch import nn
from toolkit.tasks import Examples, Task

class Tokens(nn.Module):
    """Tokens of 64 values, averaged after one layer."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.wide, self.head = nn.Linear(64, 256), nn.Linear(256, 32), nn.Linear(32, 3)

    def forward(self, x):
        return self.head(self.wide(torch.relu(self.embed(x))).mean(1))

def task(shots, seed):
    def draw(count, tokens=4):
        y = torch.arange(count) % 3
        return Examples(torch.randn(count, tokens, 64, generator=torch.Generator().manual_seed(count)), y)

    return Task("tokens", ("a", "b", "c"), draw(3 * shots), draw(12), draw(3000), draw(30))
'''


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    made = make_workplace(tmp_path_factory.mktemp("place"))
    (made.folder / "my_package" / "tokens.py").write_text(TOKENS)
    with inside(made):
        yield made


@pytest.mark.parametrize(
    ("tokens", "examples"),
    [
        (1, 2048),  # 256 inputs, eight rows for each, one row an example
        (2, 1024),
        (3, 683),
        (8, 512),  # the least
    ],
)
def test_calibration_takes_eight_rows_for_each_input_of_the_widest_layer(
    place: Workplace, tokens: int, examples: int
) -> None:
    request = Request("my_package.tokens:Tokens", "my_package.tokens:task", **PLAIN)
    job = stages.load(request, place.target, Watch(Silent()))
    general = job.task.general
    assert general is not None
    shorter = replace(
        job.task,
        support=Examples(torch.randn(len(job.task.support), tokens, 64), job.task.support.y),
        general=Examples(torch.randn(len(general), tokens, 64), general.y),
    )
    assert isinstance(job.layers["wide"], nn.Linear)
    drawn = calibration(replace(job, task=shorter), 0).general
    assert drawn is not None
    assert len(drawn.examples) == examples
