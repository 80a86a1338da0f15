"""Stage 4: every layer's components by a curve, drawn once and kept."""

from dataclasses import fields
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from toolkit.cache import cached, digest
from toolkit.compression import CURVES, CalibrationSet, Spectrum
from toolkit.sources import code_digest
from toolkit.stages.load import Job

_TENSORS = tuple(field.name for field in fields(Spectrum) if field.name != "removal")


def draw_spectra(job: Job, curve: str, data: CalibrationSet, seed: int) -> tuple[dict[str, Spectrum], bool]:
    """Spectra by the curve of that name, calibrated on `data`; and whether they had been drawn before.

    They are read from the cache also by the run that drew them: every run then computes with the same bits in the same
    order. Raises BadInput if the task lacks what the curve is drawn from.
    """
    examples = [part.examples for part in (data.task, data.general) if part is not None]
    content = [value for each in examples for value in each.content]
    key = digest(job.key, *content, list(job.layers), curve, seed, code_digest("toolkit.compression", __name__))

    def draw(folder: Path) -> None:
        drawn = CURVES[curve](job.network.backbone, job.layers, data, seed)
        save_file(_as_tensors(drawn), folder / "spectra.safetensors")

    folder, was_cached = cached("spectra", key, draw)
    tensors = load_file(folder / "spectra.safetensors")
    return {name: _spectrum(tensors, name) for name in job.layers}, was_cached


def _as_tensors(spectra: dict[str, Spectrum]) -> dict[str, torch.Tensor]:
    """A copy of each: tensors in one file may share no memory."""
    found = {
        f"{name}/{field}": getattr(each, field).contiguous().clone()
        for name, each in spectra.items()
        for field in _TENSORS
    }
    removals = {f"{name}/removal": torch.tensor(each.removal, dtype=torch.float64) for name, each in spectra.items()}
    return found | removals


def _spectrum(tensors: dict[str, torch.Tensor], name: str) -> Spectrum:
    values = {field: tensors[f"{name}/{field}"] for field in _TENSORS}
    return Spectrum(**values, removal=float(tensors[f"{name}/removal"]))
