"""Personalisation on the board: send the support examples, let the board train, ask it to classify."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from toolkit.devices import Agent, call, check, scratch
from toolkit.devices.releases.inventory import adapted_file, release_folder
from toolkit.errors import BoardError
from toolkit.tasks import Examples

# At 3e-3 queries gain as much, but few held-out examples see it: 5 of 19 trials on digits were refused, here one.
LEARNING_RATE, JITTER = 1e-3, 0.25


def adapt_on_device(
    agent: Agent,
    digest: str,
    support: Examples,
    *,
    steps: int,
    jitter: float,
    threads: int,
    seed: int,
    on_event: Callable[[dict[str, Any]], None],
) -> dict[str, Any]:
    """Run the release's train step on the board; its cores and head are replaced there only if held-out examples gain.

    Examples are shaken by normal noise of `jitter` times their deviation. Returns what the agent's `adapt` says. Raises
    BoardError.
    """
    spec = {
        "release": release_folder(agent.home, digest),
        "adapted": adapted_file(agent.home, digest),
        "steps": steps,
        "lr": LEARNING_RATE,
        "jitter": jitter,
        "seed": seed,
        "threads": threads,
    }
    with _pushed(agent, {"x": next(iter(support.x)).numpy(), "y": support.y.numpy()}) as remote:
        said = call(agent, "adapt", {**spec, "support": remote}, on_event=on_event, timeout_s=3600)
    if not said["accepted"]:
        # What an earlier run learned must not outlive a run that is refused.
        forget = f"rm -f {agent.home.within(adapted_file(agent.home, digest))}"
        check(agent.home.run(forget), "forgetting an earlier adaptation", agent.home.where)
    return said


def infer_on_device(agent: Agent, digest: str, x: torch.Tensor, *, adapted: bool, threads: int) -> torch.Tensor:
    """Logits (N, classes) of the release on the board, as installed or as adapted there. Raises BoardError."""
    with _pushed(agent, {"x": x.numpy()}) as remote:
        return _infer(agent, digest, remote, len(x), adapted, threads)


def infer_before_and_after(
    agent: Agent, digest: str, x: torch.Tensor, threads: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """`infer_on_device` as installed and as adapted; the inputs travel once."""
    with _pushed(agent, {"x": x.numpy()}) as remote:
        before = _infer(agent, digest, remote, len(x), False, threads)
        return before, _infer(agent, digest, remote, len(x), True, threads)


def _infer(agent: Agent, digest: str, remote: str, count: int, adapted: bool, threads: int) -> torch.Tensor:
    with scratch(agent.home, "logits.safetensors") as outputs:
        spec = {
            "release": release_folder(agent.home, digest),
            "adapted": adapted_file(agent.home, digest) if adapted else None,
            "inputs": remote,
            "outputs": outputs,
            "threads": threads,
        }
        call(agent, "infer", spec, timeout_s=3600)
        with tempfile.TemporaryDirectory() as folder:
            local = Path(folder, "logits.safetensors")
            agent.home.device.pull(outputs, local)
            logits = load_file(local)["logits"]
    if len(logits) != count:
        raise BoardError(f"classified {len(logits)} of {count} inputs", where=agent.home.where)
    return torch.from_numpy(logits)


@contextmanager
def _pushed(agent: Agent, arrays: dict[str, np.ndarray]) -> Iterator[str]:
    """Arrays as a safetensors file on the board, for as long as they are needed: examples do not pile up there."""
    with scratch(agent.home, "arrays.safetensors") as remote:
        with tempfile.TemporaryDirectory() as folder:
            local = Path(folder, "arrays.safetensors")
            save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, local)
            agent.home.push(local, remote)
        yield remote
