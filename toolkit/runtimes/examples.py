"""Examples that ranges of activations are read from: checked, and drawn from all."""

import torch

from toolkit.errors import BadInput
from toolkit.inputs import Inputs

# Each is run through the network, and every value that it has in there is looked at: a large picture has more of them,
# takes longer and tells more.
_AT_MOST, _AT_LEAST, _VALUES = 256, 32, 2**23


def drawn(examples: Inputs) -> Inputs:
    """Some of them, always the same: they may be sorted by class. Raises BadInput if they cannot be used.

    At most 256, and fewer, down to 32, if these together have more than 8 million values.
    """
    values = sum(each[:1].numel() for each in examples)
    if len(examples) == 0 or values == 0:
        raise BadInput("holds no example", where="calibration set", next="int8 needs one at least.")
    finite = torch.ones(len(examples), dtype=torch.bool)
    for each in examples.floats().values():
        finite &= torch.isfinite(each).flatten(1).all(1)
    if wrong := int((~finite).sum()):
        raise BadInput(
            f"{wrong} of {len(examples)} examples hold NaN or infinite values",
            where="calibration set",
            next="Remove them: ranges of int8 activations are read from every example.",
        )
    chosen = torch.randperm(len(examples), generator=torch.Generator().manual_seed(0))
    count = max(_AT_LEAST, min(_AT_MOST, _VALUES // values))
    return examples[chosen[:count].sort().values]
