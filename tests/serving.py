"""A board that serves the small release of `workplace`: what it was accepted by, and what it can learn."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from workplace import Workplace

from edge_runtime.tensors import read_arrays


def unlearn(place: Workplace) -> None:
    """Whatever the board had learned is gone."""
    for path in (place.root / "adapted").iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def learned(place: Workplace) -> bytes | None:
    """What the board has learned on top of what it serves."""
    file = place.root / "adapted" / f"{place.releases()['current']}.safetensors"
    return file.read_bytes() if file.exists() else None


def left_of_learning(place: Workplace) -> list[str]:
    """Files of what was learned, or was before."""
    return [path.name for path in (place.root / "adapted").iterdir() if not path.is_dir()]


def accepted(place: Workplace) -> tuple[np.ndarray, np.ndarray]:
    """Examples, and the outputs that the release was accepted by."""
    arrays = read_arrays(str(place.root / "releases" / place.releases()["current"] / "acceptance.safetensors"))
    return arrays["inputs.x"], arrays["outputs.logits"]


def blobs() -> tuple[np.ndarray, list[str]]:
    """Examples (24, 1, 8, 8) of the three blobs as `my_package.small` has them, and their names."""
    means = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(7))
    noise = torch.randn(3, 8, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    return (means[:, None] + 1.5 * noise).flatten(0, 1).numpy(), [name for name in "abc" for _ in range(8)]


@contextmanager
def power_cut(renames: int) -> Iterator[pytest.MonkeyPatch]:
    """Inside, files are renamed so often, and before the next time the power goes: KeyboardInterrupt."""
    replace, left = os.replace, renames

    def cut_off(*paths: str) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        replace(*paths)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "replace", cut_off)
        yield patch
