"""A recovery that was cut off goes on where it was, and ends as one that was not."""

import contextlib
import math
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from workplace import CHECKOUT

from toolkit.augmentation import Augmentation
from toolkit.distillation import Checkpoint, augment_for, recover
from toolkit.inputs import inputs_of
from toolkit.recipe import parse_recipe
from toolkit.tasks import Examples

STEPS, CUT = 30, 17


def eager(file: Path) -> Checkpoint:
    """One that is written after every step."""
    return Checkpoint(file, every_s=0, share=math.inf)


class Cut(Exception):
    """Stands for whatever ends a process in the middle of its work."""


def train(checkpoint: Checkpoint | None, recipe: str = "kd+beta+network", cut: int | None = None) -> tuple[int, dict]:
    """Steps that were computed, and the student's state; batch normalisation learns its statistics as it trains."""
    torch.manual_seed(0)
    layers = nn.Linear(8, 24), nn.BatchNorm1d(24), nn.Tanh(), nn.Linear(24, 12)
    teacher = nn.Sequential(*layers).eval()
    head, x = nn.Linear(12, 3).requires_grad_(False), torch.randn(300, 8)
    student = nn.Sequential(nn.Linear(8, 24), nn.BatchNorm1d(24), nn.Tanh(), nn.Linear(24, 12)).eval()
    computed: list[int] = []

    def on_progress(done: int, total: int) -> None:
        computed.append(done)
        if done == cut:
            raise Cut

    noise: Augmentation = ("noise",)
    with contextlib.suppress(Cut):
        recover(
            student,
            teacher,
            head,
            Examples(x, head(teacher(x)).argmax(1)),
            recipe=parse_recipe(recipe),
            augment=augment_for(noise, inputs_of(x)),
            steps=STEPS,
            seed=0,
            on_progress=on_progress,
            checkpoint=checkpoint,
        )
    return len(computed), student.state_dict()


@pytest.mark.parametrize("recipe", ["kd+beta+network", "kd+gradient", "kd+features+network"])
def test_it_ends_as_one_that_was_not_cut_off(tmp_path: Path, recipe: str) -> None:
    checkpoint = eager(tmp_path / "new folder" / "state.pt")
    _, whole = train(None, recipe)
    assert train(checkpoint, recipe, cut=CUT)[0] == CUT
    computed, resumed = train(checkpoint, recipe)
    assert computed == STEPS - CUT
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_it_may_be_cut_off_any_number_of_times(tmp_path: Path) -> None:
    checkpoint = eager(tmp_path / "state.pt")
    _, whole = train(None)
    computed = [train(checkpoint, cut=cut)[0] for cut in (1, 2, 29)]
    assert [*computed, train(checkpoint)[0]] == [1, 1, 27, 1]
    _, resumed = train(checkpoint)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


@pytest.mark.parametrize("content", [b"", b"no archive", "half"])
def test_a_damaged_checkpoint_is_none(tmp_path: Path, content: bytes | str) -> None:
    checkpoint = eager(tmp_path / "state.pt")
    train(checkpoint, cut=CUT)
    whole = checkpoint.file.read_bytes()
    checkpoint.file.write_bytes(content if isinstance(content, bytes) else whole[: len(whole) // 2])
    assert train(checkpoint)[0] == STEPS


def test_one_of_another_model_is_none(tmp_path: Path) -> None:
    checkpoint = eager(tmp_path / "state.pt")
    checkpoint.file.write_bytes(b"")
    torch.save({"step": 3, "tensors": [torch.zeros(2)]}, checkpoint.file)
    assert train(checkpoint)[0] == STEPS


def test_what_is_kept_seldom_loses_no_more_than_that(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "state.pt", every_s=3600)
    train(checkpoint, cut=CUT)
    assert not checkpoint.file.exists()


SCRIPT = """
import sys
from pathlib import Path
sys.path[:0] = ["tests", "tests/distillation"]
import test_checkpoint
test_checkpoint.STEPS = 100000
fit = sys.modules["toolkit.distillation.fit"]
kept = fit.save_training
def save(file, training, step):
    kept(file, training, step)
    print(step, flush=True)
fit.save_training = save
test_checkpoint.train(test_checkpoint.eager(Path(sys.argv[1])))
"""


@pytest.mark.parametrize("by", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow), signal.SIGKILL])
def test_a_signal_at_any_moment_leaves_a_whole_checkpoint(tmp_path: Path, by: signal.Signals) -> None:
    file = tmp_path / "state.pt"
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, file], cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout
    with process:
        last = 0
        for line in process.stdout:
            last = int(line)
            if last == 5:
                process.send_signal(by)
    state = torch.load(file, weights_only=True)
    assert state["step"] >= last >= 5
