"""Learning on a board beside torch on the same machine: are the steps the same, how fast are they, in how much memory?

    PYTHONPATH=. python benchmarks/adaptation.py            # four networks, two runtimes: minutes
    PYTHONPATH=. python benchmarks/adaptation.py --quick    # the smallest network, fewer steps

The digits transformer, ResNet-20 for 32 x 32, a keyword network on log-mel windows and Conv4 on drawings, of random
weights but for the first, every layer at a quarter of its rank; 32 random examples of three classes, one batch, one
thread.

- equality: trainables after 50 steps of Adam by the exported programs, beside torch's autograd and torch.optim.Adam:
  the largest distance of a trainable from torch's, as a share of its size;
- speed: a step as the board's agent times it, over one of torch eager that trains the same cores and head;
- memory: peak of the agent's whole process, over that of a process in which torch fine-tunes all of the dense network
  with the same batch (`import torch` is in it, as it would have to be on a board).

Agents and torch take turns, each in processes of their own; times are medians of the rounds.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from record import Figure, write
from rich.console import Console
from rich.table import Table
from runner import run_agent
from safetensors.numpy import save_file
from torch import nn

from benchmarks.models.omniglot import Conv4
from benchmarks.models.resnet import ResNet
from benchmarks.models.speech import SpeechCNN
from edge_runtime.learning import LEARNING_RATE
from toolkit.adaptation.learning_graphs import fresh_state
from toolkit.choice import rank
from toolkit.compression import calibrate, compress, compressible_layers, jactus_spectrum, matrix
from toolkit.examples import digits
from toolkit.inputs import inputs_of
from toolkit.models import split_head
from toolkit.objectives import CLASSIFICATION
from toolkit.runtimes import RUNTIMES
from toolkit.runtimes.bundle import export_inference, write_bundle
from toolkit.runtimes.learning import Learning
from toolkit.stages.learning import export_learning

_EXAMPLES, _CLASSES, _EPS = 32, 3, 1e-8
# Steps that an agent is timed on, in each of its folds.
_TIMED = 8
_AGENTS = {"onnxruntime": "python", "executorch": "native"}
_GOALS = {"equality": "<= 1e-5", "speed, onnxruntime": "<= 0.7", "speed, executorch": "<= 1", "memory": "<= 0.2"}


def main() -> None:
    """Measure, print the table, write results/adaptation.json (or adaptation-quick.json)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the smallest network, fewer steps")
    parser.add_argument("--torch", nargs=2, metavar=("NETWORK", "TRAINED"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.torch:
        print(json.dumps(_torch_alone(*arguments.torch)))
        return
    started = time.monotonic()
    networks, steps, rounds = (("keywords",), 5, 1) if arguments.quick else (tuple(_NETWORKS), 50, 3)
    rows = [_measured(network, runtime, steps, rounds) for network in networks for runtime in _AGENTS]
    prefix = "quick_" if arguments.quick else ""
    worst = {f"{prefix}{name}": figure for name, figure in _figures(rows, steps).items()}
    write(f"adaptation{'-quick' if arguments.quick else ''}", worst, rows, seeds=[0], started=started)
    _show(rows)


class _Headed(nn.Module):
    """Conv4 with a head for the task."""

    def __init__(self) -> None:
        super().__init__()
        self.features, self.head = Conv4(), nn.Linear(64, _CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        outputs: torch.Tensor = self.head(self.features(x))
        return outputs


_NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "digits": (digits.model, (1, 8, 8)),
    "ResNet-20": (lambda: ResNet(3), (3, 32, 32)),
    "keywords": (SpeechCNN, (1, 40, 36)),
    "Conv4": (_Headed, (1, 28, 28)),
}


@cache
def _made(name: str) -> tuple[nn.Module, nn.Module, nn.Linear, torch.Tensor, torch.Tensor]:
    """The dense network; a compact backbone and its head; examples and their classes."""
    torch.manual_seed(0)
    build, shape = _NETWORKS[name]
    x, y = torch.randn(_EXAMPLES, *shape), torch.arange(_EXAMPLES) % _CLASSES
    x += 0.3 * y.reshape(-1, *[1] * len(shape))  # there is something to learn
    dense = build().eval()
    network = split_head(dense, inputs_of(x[:1]))
    assert network.head is not None
    layers = compressible_layers(network.backbone, inputs_of(x[:1]))
    seen = calibrate(network.backbone, layers, [(inputs_of(x), network.head)])
    ranks = {layer: max(1, min(matrix(each).shape) // 4) for layer, each in layers.items()}
    spectra = {layer: jactus_spectrum(matrix(each), seen[layer], ranks[layer]) for layer, each in layers.items()}
    compact = compress(network.backbone, spectra, {layer: rank(each) for layer, each in ranks.items()})
    return dense, compact.eval(), network.head, x, y


def _measured(network: str, runtime_name: str, steps: int, rounds: int) -> dict[str, Any]:
    _, backbone, head, x, y = _made(network)
    runtime = RUNTIMES[runtime_name]
    learning = export_learning(runtime, backbone, head, "pretrained", inputs_of(x), y, CLASSIFICATION)
    learned, whole = _by_programs(runtime_name, learning, backbone, head, x, y, steps), _whole(backbone, head)
    expected = _by_torch(whole, learning.trainables, x, y, steps)[0]
    apart = {
        name: float((torch.from_numpy(found) - expected[name]).norm() / expected[name].norm())
        for name, found in zip(learning.trainables, learned, strict=True)
    }
    agents, eager, full = [], [], []
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        program = export_inference(runtime, backbone, head, inputs_of(x[:1]))
        (place / "release").mkdir()
        made = backbone, head, ("a", "b", "c"), inputs_of(x[:1]), program, learning
        write_bundle(place / "release", runtime, "", "any", *made)
        save_file({"inputs.x": x.numpy(), "targets.y": y.numpy(), "strata": y.numpy()}, place / "support")
        paths = {name: str(place / name) for name in ("release", "support", "adapted")}
        spec = {**paths, "steps": min(steps, _TIMED), "lr": LEARNING_RATE, "jitter": {}, "seed": 0, "threads": 1}
        for _ in range(rounds):
            agents.append(run_agent(place, _AGENTS[runtime_name], "adapt", spec)[-1])
            eager.append(_in_a_process(network, "cores"))
            full.append(_in_a_process(network, "all"))
    step_ms = {
        name: statistics.median(each["step_ms"] for each in of) for name, of in (("board", agents), ("eager", eager))
    }
    peak = {name: max(each["peak_bytes"] for each in of) for name, of in (("board", agents), ("full", full))}
    return {
        "network": network,
        "runtime": runtime_name,
        "trained_values": agents[0]["trained_values"],
        "steps": steps,
        "apart": max(apart.values()),
        "apart_in": max(apart, key=lambda name: apart[name]),
        "step_ms": step_ms["board"],
        "eager_step_ms": step_ms["eager"],
        "step_over_eager": step_ms["board"] / step_ms["eager"],
        "peak_bytes": peak["board"],
        "full_fine_tuning_peak_bytes": peak["full"],
        "peak_over_full_fine_tuning": peak["board"] / peak["full"],
    }


def _whole(backbone: nn.Module, head: nn.Linear) -> nn.Sequential:
    """Both under the names that trainables have."""
    whole = nn.Sequential()
    whole.add_module("backbone", backbone)
    whole.add_module("head", head)
    return whole.eval()


def _by_programs(
    runtime: str,
    learning: Learning,
    backbone: nn.Module,
    head: nn.Linear,
    x: torch.Tensor,
    y: torch.Tensor,
    steps: int,
) -> list[np.ndarray]:
    """The trainables after so many steps on all examples at once."""
    gradient, update = (RUNTIMES[runtime].load(each.data) for each in (learning.gradient, learning.update))
    whole, count = _whole(backbone, head), len(learning.trainables)
    values = [whole.get_parameter(name).detach().numpy().copy() for name in learning.trainables]
    state = [each.numpy() for each in fresh_state([torch.from_numpy(each) for each in values])]
    scalars = [np.float32(each) for each in (len(x), LEARNING_RATE, _EPS)]
    size = learning.batch
    batches = [(x[first : first + size].numpy(), y[first : first + size].numpy()) for first in range(0, len(x), size)]
    assert len(x) % size == 0
    for _ in range(steps):
        parts = [gradient([*batch, np.ones(size, np.float32), *values])[2:] for batch in batches]
        made = update([*scalars, *(sum(each) for each in zip(*parts, strict=True)), *values, *state])
        values, state = made[:count], made[count:]
    return values


def _by_torch(
    model: nn.Module, trained: tuple[str, ...], x: torch.Tensor, y: torch.Tensor, steps: int
) -> tuple[dict[str, torch.Tensor], list[float]]:
    """Those parameters after so many steps, and milliseconds of each; the model is left as it was."""
    kept = {name: each.detach().clone() for name, each in model.named_parameters()}
    model.requires_grad_(False)
    chosen = {name: model.get_parameter(name).requires_grad_() for name in trained}
    optimiser, took = torch.optim.Adam(chosen.values(), LEARNING_RATE, eps=_EPS), []
    for _ in range(steps):
        began = time.perf_counter()
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimiser.step()
        took.append((time.perf_counter() - began) * 1e3)
    learned = {name: each.detach().clone() for name, each in chosen.items()}
    with torch.no_grad():
        for name, each in model.named_parameters():
            each.copy_(kept[name])
    return learned, took


def _torch_alone(network: str, trained: str) -> dict[str, Any]:
    torch.set_num_threads(1)
    dense, backbone, head, x, y = _made(network)
    if trained == "all":
        model, names = dense, tuple(name for name, _ in dense.named_parameters())
    else:
        model = _whole(backbone, head)
        names = tuple(name for name, _ in model.named_parameters() if name.endswith("core.weight") or "head." in name)
    Path("/proc/self/clear_refs").write_text("5")  # what it took to make the network compact does not count
    _, took = _by_torch(model, names, x, y, 20)
    said = Path("/proc/self/status").read_text()
    kilobytes = next(int(line.split()[1]) for line in said.splitlines() if line.startswith("VmHWM"))
    return {"step_ms": statistics.median(took[2:]), "peak_bytes": 1024 * kilobytes}


def _in_a_process(network: str, trained: str) -> dict[str, Any]:
    command = [sys.executable, __file__, "--torch", network, trained]
    found: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return found


def _figures(rows: list[dict[str, Any]], steps: int) -> dict[str, Figure]:
    names = ", ".join(dict.fromkeys(row["network"] for row in rows))
    apart = max(row["apart"] for row in rows)
    figures = {
        "equality": Figure(apart, _GOALS["equality"], apart <= 1e-5, f"after {steps} steps of Adam; largest of {names}")
    }
    for runtime, most in (("onnxruntime", 0.7), ("executorch", 1.0)):
        own = [row for row in rows if row["runtime"] == runtime]
        slowest = max(row["step_over_eager"] for row in own)
        how = "largest of " + ", ".join(f"{row['network']} {row['step_over_eager']:.2f}" for row in own)
        figures[f"step_over_eager_{runtime}"] = Figure(slowest, _GOALS[f"speed, {runtime}"], slowest <= most, how)
        most_of = max(row["peak_over_full_fine_tuning"] for row in own)
        how = "largest of " + ", ".join(f"{row['network']} {row['peak_bytes'] / 1e6:.0f} MB" for row in own)
        figures[f"peak_over_full_fine_tuning_{runtime}"] = Figure(most_of, _GOALS["memory"], most_of <= 0.2, how)
    return figures


def _show(rows: list[dict[str, Any]]) -> None:
    table = Table(title="Learning on a board beside torch, one thread")
    columns = ("network", "runtime", "apart", "step_ms", "eager_step_ms", "peak_bytes", "full_fine_tuning_peak_bytes")
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*(f"{row[each]:.4g}" if isinstance(row[each], float) else str(row[each]) for each in columns))
    Console().print(table)


if __name__ == "__main__":
    main()
