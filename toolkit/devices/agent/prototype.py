"""The gradient-free head: one prototype a class, as a linear layer (Snell et al. 2017, section 2.4)."""

import numpy as np

# Standard deviation of the logits over the support: sharp enough to learn from, soft enough to keep a gradient.
_LOGIT_SPREAD = 2.0


def prototype_head(features: np.ndarray, y: np.ndarray, classes: int) -> "tuple[np.ndarray, np.ndarray]":
    """Weight (classes, d) and bias (classes,) whose argmax is the nearest class mean of `features` (N, d)."""
    means = np.stack([features[y == label].mean(0) for label in range(classes)])
    centre = means.mean(0)  # distances do not change when both sides move; numbers stay small
    weight = 2 * (means - centre)
    bias = -((means - centre) ** 2).sum(1) - weight @ centre
    spread = float((features @ weight.T + bias).std())
    scale = _LOGIT_SPREAD / spread if spread > 0 else 1.0
    return (scale * weight).astype(np.float32), (scale * bias).astype(np.float32)
