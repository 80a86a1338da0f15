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

import torch
from record import Figure, write
from torch import nn

from toolkit.compression import CompactLinear
from toolkit.devices import connect, install_agent
from toolkit.profiling.time_programs import Timeable, time_programs
from toolkit.runtimes import RUNTIMES
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
    rows = []
    with tempfile.TemporaryDirectory() as root:
        target = load_target("host").model_copy(update={"root": root})
        agent = install_agent(connect(target), target)
        for name, runtime in RUNTIMES.items():
            for batch in batches:
                layers: list[nn.Module] = [nn.Linear(_SIZE, _SIZE), CompactLinear(_SIZE, _SIZE, _RANK)]
                x = torch.randn(batch, _SIZE)
                programs = runtime.export_layers(layers, [x, x])
                timeables = {
                    label: Timeable(program, tuple(x.shape), {k: tuple(v.shape) for k, v in layer.named_parameters()})
                    for label, layer, program in zip(("dense", "compact"), layers, programs, strict=True)
                }
                for turn in range(rounds):
                    order = dict(sorted(timeables.items(), reverse=bool(turn % 2)))
                    timed = time_programs(agent, runtime, 1, order).rows
                    dense, compact = timed["dense"].median_ms, timed["compact"].median_ms
                    rows.append(
                        {
                            "runtime": name,
                            "batch": batch,
                            "round": turn,
                            "dense_median_ms": dense,
                            "compact_median_ms": compact,
                            "ratio": compact / dense,
                        }
                    )
    figures = {}
    for name in RUNTIMES:
        for batch in batches:
            ratio = statistics.median(r["ratio"] for r in rows if r["runtime"] == name and r["batch"] == batch)
            key = f"{'quick_' if quick else ''}{name}_batch{batch}_time_compact_over_dense"
            how = f"median over {rounds} rounds of the ratio of medians, one thread, wall clock"
            figures[key] = Figure(ratio, f"<= {_GOAL}", ratio <= _GOAL, how)
    write("kernels-quick" if quick else "kernels", figures, rows, seeds=[0], started=started)


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
