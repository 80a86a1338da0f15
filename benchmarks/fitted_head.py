"""The head that a few examples give, beside nearest class means and logistic regression on the same features.

    PYTHONPATH=. python benchmarks/fitted_head.py --data ../shared/data    # about three minutes of one core
    PYTHONPATH=. python benchmarks/fitted_head.py --data ../shared/data --quick

Features are those of a keyword network for a speaker that it never heard, and of a ResNet-20 of photographs: for other
photographs of its classes, for handwritten digits and for characters of Omniglot's evaluation set, which it knows
nothing of. A draw is ten classes (of characters twenty) with so many examples each, judged by up to forty others.
Logistic regression is scikit-learn's with its defaults, on features as they are and on standardised ones.
"""

import argparse
import os
import statistics
import time
from typing import Any

import numpy as np
from record import Figure, write
from rich.console import Console
from rich.table import Table
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.models import resnet, speech
from benchmarks.models.data import VARIABLE, load_arrays
from benchmarks.models.prototypes import prototype_linear
from toolkit.adaptation import features_of, fitted_head
from toolkit.inputs import inputs_of
from toolkit.models import split_head
from toolkit.tasks import Examples

import torch  # isort: skip  # toolkit is imported before torch: it sets how OpenMP waits
from torch import nn  # isort: skip

_SHOTS, _OF_EACH = (1, 2, 5, 10), 60
_RIVALS = ("class means", "logistic", "logistic, standardised")
_OURS = "ours"


def main() -> None:
    """Measure, print the table, write results/fitted_head.json (or fitted_head-quick.json)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", metavar="DIR", help="folder of fsdd_8khz.npz and others; see benchmarks/models/data.py"
    )
    parser.add_argument("--quick", action="store_true", help="ten draws, not a hundred")
    asked = parser.parse_args()
    if asked.data:
        os.environ[VARIABLE] = asked.data
    started = time.monotonic()
    torch.set_num_threads(1)
    draws = 10 if asked.quick else 100
    rows = [
        {"features": name, "examples": shots, **_accuracies(*pool, shots, draws)}
        for name, pool in _pools().items()
        for shots in _SHOTS
    ]
    _print(rows)
    over = {rival: [row[_OURS] - row[rival] for row in rows] for rival in _RIVALS}
    prefix = "quick_" if asked.quick else ""
    how = f"mean of {len(rows)} cells of {draws} draws each"
    figures = {
        f"{prefix}over_{rival.replace(', ', '_').replace(' ', '_')}": Figure(
            statistics.fmean(gains), ">= 0", statistics.fmean(gains) >= 0, f"{how}; the worst {min(gains):.4f}"
        )
        for rival, gains in over.items()
    }
    # A seed that no choice was made on.
    write("fitted_head" + ("-quick" if asked.quick else ""), figures, rows, seeds=[_SEED], started=started)


_SEED = 90


def _pools() -> dict[str, tuple[Examples, int]]:
    """Features with their classes, and how many of these a draw has."""
    photographs, digits, drawings = (load_arrays(name) for name in ("cifar10_jpeg.npz", "mnist.npz", "omniglot_28.npz"))
    network = split_head(resnet.resnet20(), inputs_of(torch.zeros(1, 3, 32, 32))).backbone
    task = speech.task()
    spoken = split_head(speech.model(), task.query.x[:1]).backbone
    characters = np.isin(drawings["character"], np.unique(drawings["character"][drawings["split"] == 1])[1::8])
    return {
        "a new speaker": (_featured(spoken, task.query), 10),
        "known photographs": (
            _of_images(network, photographs["test_images"], photographs["test_labels"]),
            10,
        ),
        "handwritten digits": (_of_images(network, _padded(digits["test_images"]), digits["test_labels"]), 10),
        "characters": (
            _of_images(network, _padded(255 - drawings["images"][characters]), drawings["character"][characters]),
            20,
        ),
    }


def _of_images(network: nn.Module, images: np.ndarray, labels: np.ndarray) -> Examples:
    order = np.random.default_rng(_SEED).permutation(len(images))[:6000]
    classes = np.unique(labels[order], return_inverse=True)[1].astype(np.int64)
    return _featured(network, Examples(torch.from_numpy(resnet.normalise(images[order])), torch.from_numpy(classes)))


def _featured(network: nn.Module, examples: Examples) -> Examples:
    return Examples(features_of(network, examples.x), examples.y)


def _padded(images: np.ndarray) -> np.ndarray:
    """(N, 28, 28), ink bright, as (N, 32, 32, 3)."""
    return np.repeat(np.pad(images, ((0, 0), (2, 2), (2, 2)))[..., None], 3, -1)


def _accuracies(pool: Examples, ways: int, shots: int, draws: int) -> dict[str, float]:
    random = np.random.default_rng([_SEED, shots])
    (features,), labels = tuple(pool.x), pool.y.numpy()
    total = dict.fromkeys([*_RIVALS, _OURS], 0.0)
    for _ in range(draws):
        rows, y = [], []
        for place, label in enumerate(random.permutation(labels.max() + 1)[:ways]):
            of_class = random.permutation(np.flatnonzero(labels == label))[:_OF_EACH]
            rows.append(of_class)
            y.append(np.full(len(of_class), place))
        support = Examples(*_joined([each[:shots] for each in rows], [each[:shots] for each in y], features))
        query = Examples(
            *_joined([each[shots : shots + 40] for each in rows], [each[shots : shots + 40] for each in y], features)
        )
        for name, accuracy in _of_one(support, query, ways).items():
            total[name] += accuracy / draws
    return total


def _joined(rows: list[np.ndarray], y: list[np.ndarray], features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return features[np.concatenate(rows)], torch.from_numpy(np.concatenate(y))


def _of_one(support: Examples, query: Examples, ways: int) -> dict[str, float]:
    (seen,), (asked,) = tuple(support.x), tuple(query.x)
    logistic = LogisticRegression(max_iter=1000).fit(seen.numpy(), support.y.numpy())
    standardised = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(
        seen.numpy(), support.y.numpy()
    )
    heads = {"class means": prototype_linear, _OURS: fitted_head}
    right = {
        name: float((make(nn.Identity(), support, ways)(asked).argmax(1) == query.y).float().mean())
        for name, make in heads.items()
    }
    return {
        **right,
        "logistic": float(logistic.score(asked.numpy(), query.y.numpy())),
        "logistic, standardised": float(standardised.score(asked.numpy(), query.y.numpy())),
    }


def _print(rows: list[dict[str, Any]]) -> None:
    table = Table(title="Accuracy by the head")
    for title in ("features", "examples", *_RIVALS, _OURS):
        table.add_column(title, justify="right")
    for row in rows:
        table.add_row(row["features"], str(row["examples"]), *(f"{row[name]:.1%}" for name in (*_RIVALS, _OURS)))
    Console().print(table)


if __name__ == "__main__":
    main()
