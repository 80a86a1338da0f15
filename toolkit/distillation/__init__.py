"""Recover accuracy after compression: losses, and the loop that composes them."""

from toolkit.distillation.losses import kd
from toolkit.distillation.recover import recover

__all__ = ["kd", "recover"]
