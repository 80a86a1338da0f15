"""Examples that ranges of activations are read from: checked, and drawn from all."""

import torch

from toolkit.errors import BadInput

_AT_MOST = 256


def drawn(examples: torch.Tensor) -> torch.Tensor:
    """At most 256 of them, always the same: they may be sorted by class. Raises BadInput if none can be used."""
    if len(examples) == 0 or examples[0].numel() == 0:
        raise BadInput("holds no example", where="calibration set", next="int8 needs one at least.")
    wrong = int((~torch.isfinite(examples).flatten(1).all(1)).sum())
    if wrong:
        raise BadInput(
            f"{wrong} of {len(examples)} examples hold NaN or infinite values",
            where="calibration set",
            next="Remove them: ranges of int8 activations are read from every example.",
        )
    chosen = torch.randperm(len(examples), generator=torch.Generator().manual_seed(0))
    return examples[chosen[:_AT_MOST].sort().values]
