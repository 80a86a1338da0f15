"""Where a model comes from: a factory, a file of weights, an exported program, a Hugging Face directory."""

from toolkit.origins.load_model import identity, load_model

__all__ = ["identity", "load_model"]
