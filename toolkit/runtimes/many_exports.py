"""What torch's exporters do again at each export, done once a process: a deployment exports some hundred programs.

- To lower a layer, torch asks its registry for all composite operators nearly two hundred times: a third of what it
  took. Asking brings operators into `torch.ops` that nobody named yet; one that a graph calls is there already, so that
  no export needs what is registered later.
- At each of three decompositions it overrides them all, in 12,000 functions whose annotations Python makes anew each:
  of what is left, a sixth. `typing` keeps those that it made.
- Meanwhile Python looks for garbage among the million objects of the libraries, which live as long as the process: of
  what is left, a quarter.

The first two are not public, and the version of torch is bounded.
"""

import functools
import gc
import typing


@functools.cache
def prepare_for_many_exports() -> None:
    """Let all exports of this process share one look at the registry, annotations and libraries free of garbage."""
    from torch import _ops
    from torch._export import utils

    utils._materialize_cpp_cia_ops = functools.cache(utils._materialize_cpp_cia_ops)
    _ops.Callable = typing.Callable
    gc.collect()
    gc.freeze()
