"""How long, and in how much memory, a model of ViT-Base's size is weighed: calibration, factorisation, allocation.

    PYTHONPATH=. python benchmarks/vit_base.py            # 12 blocks of 768, 64 images: minutes on two cores
    PYTHONPATH=. python benchmarks/vit_base.py --quick    # 2 blocks, 8 images

Twelve transformer blocks of width 768 on 197 tokens (Dosovitskiy et al. 2021, table 1), 86 M random parameters: time
and memory do not depend on what they are. Each measurement is a process of its own on two threads, so that its peak is
its own. Memory must not grow with the calibration set: it is calibrated again on a quarter of the images.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from typing import Any

import torch
from record import Figure, write
from torch import nn

from toolkit.choice import DENSE
from toolkit.compression import (
    CalibrationSet,
    Cost,
    CostTable,
    Labelled,
    Limits,
    allocate_exact,
    calibrate,
    components_of,
    compressible_layers,
    gain_curve,
    jactus_spectrum,
    matrix,
)
from toolkit.examples.digits import Block
from toolkit.inputs import inputs_of
from toolkit.profiling.candidates import layer_choices
from toolkit.tasks import Examples

_WIDTH, _HEADS, _CLASSES, _THREADS = 768, 12, 10, 2
_SECONDS, _BYTES = 300, 6e9
_SHARE = 0.5  # of the compressible parameters: what the allocator is asked for


class ViTBase(nn.Module):
    """(N, 3, 224, 224) -> features (N, 768) of the class token."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, _WIDTH, 16, stride=16)
        self.first = nn.Parameter(torch.randn(1, 1, _WIDTH) * 0.02)
        self.position = nn.Parameter(torch.randn(1, 197, _WIDTH) * 0.02)
        self.blocks = nn.Sequential(*[Block(_WIDTH, _HEADS) for _ in range(depth)])
        self.norm = nn.LayerNorm(_WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features."""
        patches = self.patch(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.first.expand(len(x), -1, -1), patches], 1) + self.position
        return self.norm(self.blocks(tokens))[:, 0]


def main() -> None:
    """Measure in processes of their own, print, write results/vit_base.json (or vit_base-quick.json)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="2 blocks, 8 images")
    parser.add_argument("--measure", nargs=3, metavar=("DEPTH", "IMAGES", "WHAT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        depth, images, what = arguments.measure
        print(json.dumps(_measure(int(depth), int(images), what)))
        return
    started = time.monotonic()
    depth, images = (2, 8) if arguments.quick else (12, 64)
    whole, quarter = _in_a_process(depth, images, "all"), _in_a_process(depth, images // 4, "calibration")
    seconds = sum(value for key, value in whole.items() if key.endswith("_seconds"))
    grown = whole["calibration_peak_bytes"] / quarter["calibration_peak_bytes"]
    how = f"{depth} blocks of {_WIDTH}, {whole['parameters']:,} parameters, {images} images, {_THREADS} threads"
    prefix = "quick_" if arguments.quick else ""
    figures = {
        f"{prefix}seconds": Figure(seconds, f"<= {_SECONDS}", seconds <= _SECONDS, how),
        f"{prefix}peak_bytes": Figure(whole["peak_bytes"], f"<= {_BYTES:.0e}", whole["peak_bytes"] <= _BYTES, how),
        f"{prefix}peak_of_calibration_over_that_of_a_quarter": Figure(
            grown, "<= 1.15", grown <= 1.15, f"{images} images over {images // 4}; 16 are a batch"
        ),
    }
    write("vit_base-quick" if arguments.quick else "vit_base", figures, [whole, quarter], seeds=[0], started=started)


def _in_a_process(depth: int, images: int, what: str) -> dict[str, Any]:
    command = [sys.executable, __file__, "--measure", str(depth), str(images), what]
    environment = {**os.environ, "OMP_NUM_THREADS": str(_THREADS), "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    row: dict[str, Any] = json.loads(done.stdout)
    return row


def _measure(depth: int, images: int, what: str) -> dict[str, Any]:
    torch.manual_seed(0)
    model, head = ViTBase(depth).eval(), nn.Linear(_WIDTH, _CLASSES)
    x = torch.randn(images, 3, 224, 224)
    data = CalibrationSet(Labelled(Examples(x, torch.zeros(images, dtype=torch.int64)), head))
    layers = compressible_layers(model, inputs_of(x[:1]))
    parameters = sum(each.numel() for each in model.parameters())
    row: dict[str, Any] = {"depth": depth, "images": images, "layers": len(layers), "parameters": parameters}
    clock = _Clock(row)
    statistics = calibrate(model, layers, data.batches())
    clock.lap("calibration")
    row["calibration_peak_bytes"] = _peak_bytes()
    if what == "calibration":
        return row
    spectra = {
        name: jactus_spectrum(matrix(layer), statistics.pop(name), components_of(layer))
        for name, layer in layers.items()
    }
    clock.lap("factorisation")
    choices = {name: layer_choices(layer, 8) for name, layer in layers.items()}
    gains = {name: gain_curve(name, matrix(layer), spectra[name], choices[name]) for name, layer in layers.items()}
    costs = {
        name: {
            each: Cost(0.0, 4 * (layer.weight.numel() if each.size is None else each.size * sum(matrix(layer).shape)))
            for each in choices[name]
        }
        for name, layer in layers.items()
    }
    dense_bytes = sum(row[DENSE].weight_bytes for row in costs.values())
    found = allocate_exact(gains, CostTable(costs, 0.0, 0), Limits(size_bytes=int(_SHARE * dense_bytes)))
    clock.lap("allocation")
    row |= {"share_of_parameters": found.size_bytes / dense_bytes, "bound_gap": found.bound_gap}
    return row | {"peak_bytes": _peak_bytes()}


class _Clock:
    """Writes wall seconds, and those of all processors together, into a row."""

    def __init__(self, row: dict[str, Any]) -> None:
        self.row = row
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def lap(self, name: str) -> None:
        """Since the last lap."""
        wall, cpu = time.perf_counter(), time.process_time()
        self.row |= {f"{name}_seconds": wall - self.wall, f"{name}_processor_time": cpu - self.cpu}
        self.wall, self.cpu = wall, cpu


def _peak_bytes() -> int:
    """The most that this process has had in memory."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
