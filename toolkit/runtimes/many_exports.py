"""Torch's composite operators, looked up once a process: a lowering asks for all of them nearly two hundred times.

That is a third of what it takes to lower one layer. Asking brings operators into `torch.ops` that nobody named yet; one
that a graph calls is there already, so that no export needs what is registered later. The function is not public, and
the version of torch is bounded.
"""

import functools


@functools.cache
def look_up_once() -> None:
    """Let all exports of this process share one look at the registry."""
    import torch._export.utils as utils

    utils._materialize_cpp_cia_ops = functools.cache(utils._materialize_cpp_cia_ops)
