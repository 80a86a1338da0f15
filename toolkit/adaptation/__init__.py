"""Learning from a few examples: the head a task starts with, the graphs that a board learns by, running them there."""

from toolkit.adaptation.heads import features_of, fitted_head, fitted_right, head_start, task_head
from toolkit.adaptation.on_device import Training, adapt_on_device, infer_before_and_after, infer_on_device

__all__ = [
    "Training",
    "adapt_on_device",
    "features_of",
    "fitted_head",
    "fitted_right",
    "head_start",
    "infer_before_and_after",
    "infer_on_device",
    "task_head",
]
