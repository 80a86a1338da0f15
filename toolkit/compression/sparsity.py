"""N:M sparsity: what some hardware gains from importance that is not summed (TensorRT on Ampere and later: 2:4)."""

import torch


def sparse_mask(importances: torch.Tensor, keep: int = 2, of: int = 4) -> torch.Tensor:
    """True for the `keep` most important of every `of` neighbours in a row of (m, n).

    Of equals the first are kept. A convolution's patterns run along its input channels: bring those last. Raises
    ValueError if n is no multiple of `of`.
    """
    m, n = importances.shape
    if n % of or not 0 < keep <= of:
        raise ValueError(f"{n} inputs have no {keep}:{of} pattern")
    order = importances.reshape(m, n // of, of).argsort(stable=True, dim=-1, descending=True)
    return torch.zeros(order.shape, dtype=torch.bool).scatter_(-1, order[..., :keep], True).reshape(m, n)
