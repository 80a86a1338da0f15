"""Personalisation on the board: send the support examples, let the board train, ask it to classify."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from edge_runtime.classes import Rows
from edge_runtime.learning import LEARNING_RATE
from edge_runtime.methods import AUTO
from toolkit.devices import Agent, call, journal, scratch
from toolkit.devices.releases.inventory import adapted_file, release_folder
from toolkit.devices.releases.learned import kept_before
from toolkit.devices.releases.plain import follow
from toolkit.errors import BoardError
from toolkit.inputs import Inputs

_PATIENCE_S = 3600.0


@dataclass(frozen=True)
class Training:
    """An input is shaken by normal noise of `jitter`, by its name, times its deviation; `seconds` bound the work,
    and `memory_bytes` what its process may take at once.

    Of the score of what it knew before a board may lose `max_forgetting`; None: what the release says. `method` is
    one of `edge_runtime.methods`. `classes` are those of the head's rows from then on, if others than the release's.
    """

    steps: int
    jitter: Mapping[str, float]
    threads: int
    seed: int
    seconds: float | None = None
    max_forgetting: float | None = None
    memory_bytes: int | None = None
    method: str = AUTO
    classes: Rows | None = None


def adapt_on_device(
    agent: Agent,
    digest: str,
    inputs: Inputs,
    targets: torch.Tensor,
    strata: torch.Tensor,
    how: Training,
    *,
    on_event: Callable[[dict[str, Any]], None],
    on_note: Callable[[str], None],
) -> dict[str, Any]:
    """Let the board learn from these examples, of each of whose `strata` (N,) as many are held out in turn.

    As `adapt_from`. The examples do not stay there.
    """
    arrays = {**inputs.arrays("inputs"), "targets.y": targets.numpy(), "strata": strata.numpy()}
    with _pushed(agent, arrays) as remote:
        return adapt_from(agent, digest, remote, how, on_event=on_event, on_note=on_note)


def adapt_from(
    agent: Agent,
    digest: str,
    support: str,
    how: Training,
    *,
    on_event: Callable[[dict[str, Any]], None],
    on_note: Callable[[str], None],
) -> dict[str, Any]:
    """Let the board learn from a file there; cores and head are replaced only if held-out examples gain.

    What is not accepted leaves what the board had learned before; what is can be undone (`devices.releases.learned`).
    Returns what the agent's `adapt` says. Raises BoardError.
    """
    spec = {
        "release": release_folder(agent.home, digest),
        "adapted": adapted_file(agent.home, digest),
        "support": support,
        "lr": LEARNING_RATE,
        **asdict(how),
    }
    with kept_before(agent.home, digest):
        said = call(agent, "adapt", spec, on_event=on_event, timeout_s=_PATIENCE_S + (how.seconds or 0))
    event = "learned" if said["accepted"] else "did not take what it learned"
    told = {"reason": said["reason"], "examples": said["examples"], **(said["held_out"] or {})}
    journal.note(agent.home, event, release=digest, **told)
    if said["accepted"]:
        follow(agent, digest, on_note)
    return said


def infer_on_device(agent: Agent, digest: str, inputs: Inputs, *, adapted: bool, threads: int) -> torch.Tensor:
    """Outputs (N, ...) of the release on the board, as installed or as adapted there. Raises BoardError."""
    with _pushed(agent, inputs.arrays("inputs")) as remote:
        return _infer(agent, digest, remote, len(inputs), adapted, threads)


def infer_before_and_after(
    agent: Agent, digest: str, inputs: Inputs, threads: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """`infer_on_device` as installed and as adapted; the inputs travel once."""
    with _pushed(agent, inputs.arrays("inputs")) as remote:
        before = _infer(agent, digest, remote, len(inputs), False, threads)
        return before, _infer(agent, digest, remote, len(inputs), True, threads)


def _infer(agent: Agent, digest: str, remote: str, count: int, adapted: bool, threads: int) -> torch.Tensor:
    with scratch(agent.home, "outputs.safetensors") as outputs:
        spec = {
            "release": release_folder(agent.home, digest),
            "adapted": adapted_file(agent.home, digest) if adapted else None,
            "inputs": remote,
            "outputs": outputs,
            "threads": threads,
        }
        call(agent, "infer", spec, timeout_s=3600)
        with tempfile.TemporaryDirectory() as folder:
            local = Path(folder, "outputs.safetensors")
            agent.home.device.pull(outputs, local)
            (given,) = load_file(local).values()
    if len(given) != count:
        raise BoardError(f"answered {len(given)} of {count} inputs", where=agent.home.where)
    return torch.from_numpy(given)


@contextmanager
def _pushed(agent: Agent, arrays: dict[str, np.ndarray]) -> Iterator[str]:
    """Arrays as a safetensors file on the board, for as long as they are needed: examples do not pile up there."""
    with scratch(agent.home, "arrays.safetensors") as remote:
        with tempfile.TemporaryDirectory() as folder:
            local = Path(folder, "arrays.safetensors")
            save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, local)
            agent.home.push(local, remote)
        yield remote
