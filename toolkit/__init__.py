"""Compress a PyTorch model to a board's measured budget, install it, prove it fits, adapt it on the board."""

__version__ = "0.1.0"
