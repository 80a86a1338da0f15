"""Ways to a model that is compressed and adapted to a text task, all from the same encoder and the same first head.

An encoder makes features of token ids, a head reads them; a share is one of the parameters of its linear layers.
"""

import copy
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.models.text import by_length
from toolkit.choice import DENSE, Choice, all_dense, rank
from toolkit.compression import (
    Cost,
    CostTable,
    GainCurve,
    LayerStatistics,
    Limits,
    Spectrum,
    allocate_exact,
    break_even_rank,
    calibrate,
    compress,
    compressible_layers,
    gain_curve,
    jactus_spectrum,
    matrix,
)
from toolkit.distillation import fit, teach
from toolkit.inputs import inputs_of
from toolkit.tasks import Examples

BATCH = 32
_CALIBRATION_EXAMPLES, _RANK_STEP = 1024, 16
_LORA_RANK, _LORA_ALPHA = 16, 32
_DAMPING = 1e-2

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Made:
    """An encoder and head for the task, and the share of the encoder's linear parameters that inference reads."""

    encoder: nn.Module
    head: nn.Linear
    share: float


def statistics_of(encoder: nn.Module, head: nn.Linear, examples: Examples, seed: int) -> dict[str, LayerStatistics]:
    """Covariances of every linear layer on some of the examples; no padded position is among them."""
    drawn = torch.randperm(len(examples), generator=torch.Generator().manual_seed(seed))[:_CALIBRATION_EXAMPLES]
    batches = [inputs_of(ids) for ids in by_length(examples[drawn], BATCH)]
    encoder = copy.deepcopy(encoder)
    encoder.requires_grad_(True)  # the embeddings too: without, no gradient reaches the first block's attention
    return calibrate(encoder, compressible_layers(encoder, batches[0][:1]), [(x, head) for x in batches], seed=seed)


def spectra_of(encoder: nn.Module, statistics: dict[str, LayerStatistics]) -> dict[str, Spectrum]:
    """JACTUS components of every layer."""
    layers = {name: encoder.get_submodule(name) for name in statistics}
    return {
        name: jactus_spectrum(matrix(layer), statistics[name], break_even_rank(layer))  # type: ignore[arg-type]
        for name, layer in layers.items()
    }


def jactus(
    encoder: nn.Module,
    head: nn.Linear,
    spectra: dict[str, Spectrum],
    examples: Examples,
    share: float,
    *,
    steps: int,
    learning_rate: float,
    head_rate: float,
    seed: int,
    on_progress: Progress,
) -> Made:
    """The encoder with ranks chosen for that share; then all of it but the embeddings learns, and the head."""
    gains: dict[str, GainCurve] = {}
    rows: dict[str, dict[Choice, Cost]] = {}
    for name, spectrum in spectra.items():
        layer = encoder.get_submodule(name)
        assert isinstance(layer, nn.Linear)
        m, n = matrix(layer).shape
        sizes = range(_RANK_STEP, break_even_rank(layer) + 1, _RANK_STEP)
        gains[name] = gain_curve(name, matrix(layer), spectrum, map(rank, sizes))
        rows[name] = {DENSE: Cost(0.0, m * n), **{rank(size): Cost(0.0, size * (m + n)) for size in sizes}}
    costs = CostTable(rows, 0.0, 0)
    dense = costs.size_bytes(all_dense(rows))
    allocation = allocate_exact(gains, costs, Limits(size_bytes=int(share * dense)))
    student = compress(encoder, spectra, allocation.selection).requires_grad_(True)
    student.get_submodule("bert.embeddings").requires_grad_(False)
    learning = {"steps": steps, "learning_rate": learning_rate, "head_rate": head_rate, "batch": BATCH, "seed": seed}
    student, head = teach(student, head, examples, on_progress=on_progress, **learning)  # type: ignore[arg-type]
    return Made(student, head, costs.size_bytes(allocation.selection) / dense)


def low_rank_adapters(
    encoder: nn.Module,
    head: nn.Linear,
    examples: Examples,
    *,
    dora: bool,
    steps: int,
    learning_rate: float,
    head_rate: float,
    seed: int,
    on_progress: Progress,
) -> Made:
    """LoRA (Hu et al. 2022) or DoRA (Liu et al. 2024) of rank 16 on every linear layer, by `peft`, and the head."""
    from peft import LoraConfig, inject_adapter_in_model

    torch.manual_seed(seed)
    names = [name for name, module in encoder.named_modules() if isinstance(module, nn.Linear)]
    config = LoraConfig(r=_LORA_RANK, lora_alpha=_LORA_ALPHA, target_modules=names, use_dora=dora)
    adapted, reads = copy.deepcopy(encoder).requires_grad_(False), copy.deepcopy(head).requires_grad_(True)
    inject_adapter_in_model(config, adapted)
    trained = [parameter for parameter in adapted.parameters() if parameter.requires_grad]
    fit(
        [(trained, learning_rate), (list(reads.parameters()), head_rate)],
        lambda index, _: F.cross_entropy(reads(adapted(*examples.x[index])), examples.y[index]),
        len(examples),
        steps=steps,
        batch=BATCH,
        seed=seed,
        where="adapters",
        on_progress=on_progress,
    )
    return Made(adapted, reads, 1.0)


def factorise(
    encoder: nn.Module, share: float, statistics: dict[str, LayerStatistics] | None
) -> tuple[nn.Module, float]:
    """Every linear layer as two factors of that share of its parameters, and the share kept.

    By the SVD of the weight; with statistics, of the weight times the root of its inputs' covariance (SVD-LLM, Wang et
    al. 2024).
    """
    factored, kept, dense = copy.deepcopy(encoder), 0, 0
    for name, layer in [(n, each) for n, each in encoder.named_modules() if isinstance(each, nn.Linear)]:
        m, n = layer.weight.shape
        size = int(share * m * n / (m + n))
        weight = layer.weight.detach().double()
        root = torch.eye(n, dtype=torch.float64) if statistics is None else _root(statistics[name].sigma_x)
        u, s, vh = torch.linalg.svd(weight @ root, full_matrices=False)
        down, up = nn.Linear(n, size, bias=False), nn.Linear(size, m)
        with torch.no_grad():
            down.weight.copy_(torch.linalg.solve(root, vh[:size].T, left=True).T if statistics else vh[:size])
            up.weight.copy_(u[:, :size] * s[:size])
            up.bias.copy_(layer.bias)
        parent, _, attribute = name.rpartition(".")
        setattr(factored.get_submodule(parent), attribute, nn.Sequential(OrderedDict(down=down, up=up)))
        kept, dense = kept + size * (m + n), dense + m * n
    return factored.eval(), kept / dense


def _root(covariance: torch.Tensor) -> torch.Tensor:
    """The symmetric root of the covariance, damped by a hundredth of its mean eigenvalue."""
    damped = covariance + _DAMPING * covariance.diagonal().mean() * torch.eye(len(covariance), dtype=covariance.dtype)
    values, vectors = torch.linalg.eigh(damped)
    return (vectors * values.clamp_min(1e-300).sqrt()) @ vectors.T
