"""Learning from a few examples: the head a task starts with, the train step as a graph, and running it on the board."""

from toolkit.adaptation.heads import features_of, head_start, prototype_linear, prototypes_right, task_head
from toolkit.adaptation.on_device import adapt_on_device, infer_before_and_after, infer_on_device
from toolkit.adaptation.train_step import trace_train_step

__all__ = [
    "adapt_on_device",
    "features_of",
    "head_start",
    "infer_before_and_after",
    "infer_on_device",
    "prototype_linear",
    "prototypes_right",
    "task_head",
    "trace_train_step",
]
