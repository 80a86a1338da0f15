"""Recover accuracy after compression: losses, and the loop that composes them."""

from toolkit.distillation.augment import augment_for
from toolkit.distillation.batch_norm import ENOUGH, estimate_statistics
from toolkit.distillation.checkpoint import Checkpoint
from toolkit.distillation.fake_quantise import fake_quantised, quantised_layers
from toolkit.distillation.fit import fit
from toolkit.distillation.losses import kd, misdirection
from toolkit.distillation.ranges import read_ranges
from toolkit.distillation.recover import recover
from toolkit.distillation.teach import teach
from toolkit.distillation.terms import terms_of
from toolkit.distillation.train_policy import train_policy
from toolkit.distillation.weighing import weighing_of

__all__ = [
    "ENOUGH",
    "Checkpoint",
    "augment_for",
    "estimate_statistics",
    "fake_quantised",
    "fit",
    "kd",
    "misdirection",
    "quantised_layers",
    "read_ranges",
    "recover",
    "teach",
    "terms_of",
    "train_policy",
    "weighing_of",
]
