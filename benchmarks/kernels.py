"""Do three factors at a quarter of the rank really run faster than the dense layer, in both runtimes?

    python benchmarks/kernels.py            # about half a minute
    python benchmarks/kernels.py --quick    # one shape, fewer rounds

A 512 x 512 linear layer against `CompactLinear` at rank 128 (512 -> 128 -> 128 -> 512, unfolded), one thread,
through the agent on this machine. Dense and compact take turns in one run; the figure is the median of the rounds'
ratios.
"""

import argparse
import statistics
import tempfile
import time
from typing import Any

import torch
from record import Figure, write
from torch import nn

from toolkit.compression import CompactLinear
from toolkit.devices import connect, install_agent, open_home
from toolkit.inputs import inputs_of
from toolkit.profiling.time_programs import Timeable, time_programs
from toolkit.runtimes import RUNTIMES, export_with_holes
from toolkit.targets import load_target

_SIZE, _RANK = 512, 128
_GOAL = 0.7


def main() -> None:
    """Measure, print the table, write results/kernels.json (or kernels-quick.json)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="batch 16 only, three rounds")
    quick = parser.parse_args().quick
    started = time.monotonic()
    rounds, batches = (3, (16,)) if quick else (9, (1, 16, 128))
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as root:
        target = load_target("host").model_copy(update={"root": root})
        for name, runtime in RUNTIMES.items():
            agent = install_agent(open_home(connect(target), target), target, runtime.agent, print)
            for batch in batches:
                dense, compact = nn.Linear(_SIZE, _SIZE), CompactLinear(_SIZE, _SIZE, _RANK)
                x = torch.randn(batch, _SIZE)
                forms: dict[str, tuple[nn.Module, tuple[str, ...]]] = {
                    "dense": (dense, ()),
                    "compact": (compact, ()),
                    # As it is deployed: one factor is supplied by the board, so that it can learn.
                    "deployed": (compact.fold(), ("down.weight",)),
                }
                timeables = {
                    label: Timeable(
                        runtime.export(export_with_holes(layer, inputs_of(x), holes), holes),
                        tuple(x.shape),
                        {key: tuple(value.shape) for key, value in layer.named_parameters()},
                    )
                    for label, (layer, holes) in forms.items()
                }
                turns = {f"{label} {turn}": timeables[label] for turn in range(rounds) for label in timeables}
                timed = time_programs(agent, runtime, 1, turns).rows
                for turn in range(rounds):
                    ms = {label: timed[f"{label} {turn}"].median_ms for label in forms}
                    ratios = {label: ms[label] / ms["dense"] for label in ("compact", "deployed")}
                    rows.append({"runtime": name, "batch": batch, "round": turn, "median_ms": ms, "ratio": ratios})
    figures = {}
    for label, what in (("compact", "three_factors"), ("deployed", "folded_with_hole")):
        for name in RUNTIMES:
            for batch in batches:
                found = [r["ratio"][label] for r in rows if r["runtime"] == name and r["batch"] == batch]
                ratio = statistics.median(found)
                key = f"{'quick_' if quick else ''}{name}_batch{batch}_{what}_over_dense"
                how = f"median over {rounds} rounds of the ratio of medians, one thread, wall clock"
                figures[key] = Figure(ratio, f"<= {_GOAL}", ratio <= _GOAL, how)
    write("kernels-quick" if quick else "kernels", figures, rows, seeds=[0], started=started)


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
