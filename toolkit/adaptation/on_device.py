"""Personalisation on the board: send the support examples, let the board train, ask it to classify."""

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from toolkit.devices import Agent, call, check
from toolkit.devices.release import adapted_file, release_folder
from toolkit.errors import BoardError
from toolkit.tasks import Examples

LEARNING_RATE, JITTER = 3e-3, 0.25


def adapt_on_device(
    agent: Agent,
    digest: str,
    support: Examples,
    *,
    steps: int,
    folds: int,
    threads: int,
    seed: int,
    on_event: Callable[[dict[str, Any]], None],
) -> dict[str, Any]:
    """Run the release's train step on the board; its cores and head are replaced there only if held-out examples gain.

    Returns what the agent's `adapt` says. Raises BoardError.
    """
    remote = _push_arrays(agent, {"x": support.x.numpy(), "y": support.y.numpy()})
    spec = {
        "release": release_folder(agent, digest),
        "support": remote,
        "adapted": adapted_file(agent, digest),
        "steps": steps,
        "lr": LEARNING_RATE,
        "jitter": JITTER,
        "folds": folds,
        "seed": seed,
        "threads": threads,
    }
    # What an earlier run learned must not outlive a run that is refused.
    check(agent.device.run(f"rm -f '{spec['adapted']}'"), "forgetting an earlier adaptation", agent.where)
    return call(agent, "adapt", spec, on_event=on_event, timeout_s=3600)


def infer_on_device(agent: Agent, digest: str, x: torch.Tensor, *, adapted: bool, threads: int) -> torch.Tensor:
    """Logits (N, classes) of the release on the board, as installed or as adapted there. Raises BoardError."""
    remote, outputs = _push_arrays(agent, {"x": x.numpy()}), agent.at("work", "logits.npz")
    spec = {
        "release": release_folder(agent, digest),
        "adapted": adapted_file(agent, digest) if adapted else None,
        "inputs": remote,
        "outputs": outputs,
        "threads": threads,
    }
    call(agent, "infer", spec, timeout_s=3600)
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder, "logits.npz")
        agent.device.pull(outputs, local)
        with np.load(local, allow_pickle=False) as archive:
            logits = archive["logits"]
    if len(logits) != len(x):
        raise BoardError(f"classified {len(logits)} of {len(x)} inputs", where=agent.where)
    return torch.from_numpy(logits)


def _push_arrays(agent: Agent, arrays: dict[str, np.ndarray]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        local = Path(folder, "arrays.npz")
        np.savez(local, **arrays)  # type: ignore[arg-type]
        remote = agent.at("work", f"arrays-{hashlib.sha256(local.read_bytes()).hexdigest()[:12]}.npz")
        agent.device.push(local, remote)
    return remote
