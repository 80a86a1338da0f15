"""Where the benchmarks' data lie: no part of the product, and downloaded by nobody."""

import os
from pathlib import Path

import numpy as np

from toolkit.errors import BadInput

_DEFAULT = Path(__file__).parents[3] / "shared" / "data"
VARIABLE = "EDGE_DEPLOY_DATA"


def data_file(name: str) -> Path:
    """The file of that name in the folder that EDGE_DEPLOY_DATA (or `--data`) names. Raises BadInput without it."""
    folder = Path(os.environ.get(VARIABLE, _DEFAULT))
    if not (folder / name).is_file():
        raise BadInput("no such file", where=str(folder / name), next=f"Name the folder with --data or {VARIABLE}.")
    return folder / name


def load_arrays(name: str) -> dict[str, np.ndarray]:
    """All arrays of one `.npz`."""
    with np.load(data_file(name), allow_pickle=False) as arrays:
        return dict(arrays)
