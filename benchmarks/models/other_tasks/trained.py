"""Training of a network from its objective, on first use; then cached."""

import inspect
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from toolkit.cache import cached, digest
from toolkit.tasks import Examples

_BATCH, _RATE = 32, 3e-3
OnProgress = Callable[[int, int], None] | None
Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def trained(
    module: ModuleType,
    fresh: Callable[[], nn.Module],
    data: Callable[[], Examples],
    loss: Loss,
    steps: int,
    on: OnProgress,
) -> nn.Module:
    """What `fresh` makes, trained on the data by the loss (outputs, targets) -> (N,): Adam, one cycle."""

    def build(folder: Path) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model, examples = fresh().train(), data()
            [x] = examples.x
            optimizer = torch.optim.Adam(model.parameters(), lr=_RATE)
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps)
            for step in range(steps):
                drawn = torch.randint(len(x), (_BATCH,))
                optimizer.zero_grad()
                loss(model(x[drawn]), examples.y[drawn]).mean().backward()
                optimizer.step()
                schedule.step()
                if on:
                    on(step + 1, steps)
        save_file(
            {name: value.contiguous() for name, value in model.state_dict().items()}, folder / "model.safetensors"
        )

    source = inspect.getsource(module) + inspect.getsource(trained)
    folder, _ = cached("examples", f"{module.__name__}-{digest(source)[:16]}", build)
    model = fresh()
    model.load_state_dict(load_file(folder / "model.safetensors"))
    return model.eval()
