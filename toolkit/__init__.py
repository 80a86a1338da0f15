"""Compress a PyTorch model to a board's measured budget, install it, prove it fits, adapt it on the board."""

import os

__version__ = "0.1.0"

# OpenMP threads that spin while they wait make training ten times slower as soon as another process wants a core; they
# are told so before torch loads them.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# ONNX Runtime's telemetry would write into the user's home; boards are spared it by the agent.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
