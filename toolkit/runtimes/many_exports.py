"""What torch's exporters do again at each export, done once a process: a deployment exports some hundred programs.

- To lower a layer, torch asks its registry for all composite operators nearly two hundred times: a third of what it
  took. Asking brings operators into `torch.ops` that nobody named yet; one that a graph calls is there already, so that
  no export needs what is registered later.
- At each of three decompositions it overrides them all, by 12,000 functions that it makes anew: of what is left, a
  third. They are made once.
- Meanwhile Python looks for garbage among the million objects of the libraries, which live as long as the process: of
  what is left, a quarter.

The first two are not public, and the version of torch is bounded.
"""

import functools
import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch

_Overrides = Mapping[torch._ops.OpOverload, Callable[..., Any]]
_Overriding = Callable[[_Overrides], AbstractContextManager[None]]
_COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd


@functools.cache
def prepare_for_many_exports() -> None:
    """Let all exports of this process share one look at the registry and one set of overrides, without garbage."""
    from torch._export import utils
    from torch.export import exported_program

    utils._materialize_cpp_cia_ops = functools.cache(utils._materialize_cpp_cia_ops)
    exported_program._override_composite_implicit_decomp = made_once(
        exported_program._override_composite_implicit_decomp
    )  # type: ignore[assignment]
    gc.collect()
    gc.freeze()


def made_once(override: _Overriding) -> _Overriding:
    """The same context, in which operators have the kernels that `override` made when it first was asked for them.

    Within another such context, `override` itself: what it then makes depends on that one.
    """
    from torch._subclasses.fake_impls import op_implementations_dict as fakes

    kernels: dict[torch._ops.OpOverload, dict[Any, Callable[..., Any]]] = {}
    fake: dict[torch._ops.OpOverload, Callable[..., Any]] = {}
    entered = False

    def make(wanted: _Overrides) -> None:
        with override(wanted):
            for operator in wanted:
                kernels[operator] = {key: call for key, call in operator.py_kernels.items() if key != _COMPOSITE}
                fake[operator] = fakes[operator]

    @contextmanager
    def context(wanted: _Overrides) -> Iterator[None]:
        nonlocal entered
        if entered:
            with override(wanted):
                yield
            return
        if new := {operator: call for operator, call in wanted.items() if operator not in kernels}:
            make(new)
        entered, before = True, {}
        try:
            for operator, call in wanted.items():
                before[operator] = operator.py_kernels.copy()
                operator.py_kernels.update(kernels[operator])
                operator.py_kernels[_COMPOSITE] = call
                operator._dispatch_cache.clear()
                fakes.setdefault(operator, fake[operator])
            yield
        finally:
            for operator, had in before.items():
                operator.py_kernels.clear()
                operator.py_kernels.update(had)
                operator._dispatch_cache.clear()
                fakes.pop(operator, None)
            entered = False

    return context
