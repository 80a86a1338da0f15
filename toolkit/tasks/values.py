"""Values as a network gets them: float32, bytes as 0 to 1, and normalised by channel where that is asked for."""

import numpy as np
import torch

from toolkit.errors import BadInput
from toolkit.reading import Reading
from toolkit.tasks.task import Examples

_BYTES_TOGETHER = 2**24
BYTES_ARE_SHARES = "holds bytes (uint8): they reach the model as 0 to 1, as pixels of image files do"


def examples_of(x: np.ndarray, y: np.ndarray, rows: np.ndarray, dtype: type[np.generic] = np.float32) -> Examples:
    """The `rows` of x (N, *input_shape), in that dtype, and of y (N, ...), in that order; values stay what they are.

    x may be mapped from a file: no other row is read, and nothing is in memory twice.
    """
    values = np.empty((len(rows), *x.shape[1:]), dtype)
    together = max(1, _BYTES_TOGETHER // max(1, values[:1].nbytes))
    for start in range(0, len(rows), together):
        values[start : start + together] = x[rows[start : start + together]]
    return Examples(torch.from_numpy(values), torch.from_numpy(y[rows]))


def scaled_examples_of(x: np.ndarray, y: np.ndarray, rows: np.ndarray, reading: Reading, where: str) -> Examples:
    """The same with bytes as 0 to 1, less `reading.mean`, over `reading.std`.

    Raises BadInput where these are of other channels than x has.
    """
    shifted, stretched = (_by_channel(x, name, getattr(reading, name), where) for name in ("mean", "std"))
    examples = examples_of(x, y, rows)
    [values] = examples.x
    if x.dtype == np.uint8:
        values.div_(255)
    if shifted is not None:
        values.sub_(shifted)
    if stretched is not None:
        values.div_(stretched)
    return examples


def _by_channel(x: np.ndarray, name: str, numbers: tuple[float, ...] | None, where: str) -> torch.Tensor | None:
    """Shaped so that it meets (N, channels, ...)."""
    if numbers is None:
        return None
    if len(numbers) not in (1, x.shape[1]):
        raise BadInput(
            f"has {len(numbers)} numbers; examples of {where} have {x.shape[1]} channels {x.shape[1:]}",
            where=f"task.{name}",
            next="Give one for each channel, or one for all.",
        )
    return torch.tensor(numbers).reshape(-1, *[1] * (x.ndim - 2))
