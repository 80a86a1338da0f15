"""What a model's graph depends on, without drawing the graph, which takes seconds: modules, shapes, and their code."""

import io
import pickle
import sys
import sysconfig
from pathlib import Path
from typing import Any

import torch
from torch import nn

from toolkit.cache import digest

_INSTALLED = tuple(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))


def anatomy(model: nn.Module) -> str | None:
    """A digest of all that the modules hold but for the values of tensors, and of the code that they are made of.

    None for a model that cannot be pickled: of that, nothing is known without drawing it.
    """
    pickled = io.BytesIO()
    try:
        _Shapes(pickled).dump(model)
    except (pickle.PicklingError, AttributeError, TypeError, RecursionError):
        return None
    return digest(pickled.getvalue(), torch.__version__, code_of(model))


def code_of(model: nn.Module) -> str:
    """A digest of the loaded source files in the folders that the model's own classes come from."""
    folders = {_folder(file) for each in model.modules() if not _is_installed(file := _file(type(each).__module__))}
    files = {file for name in list(sys.modules) if _folder(file := _file(name)) in folders}
    sources = [path for path in map(Path, sorted(files)) if path.is_file()]
    return digest(*(part for path in sources for part in (path.name, path.read_bytes())))


class _Shapes(pickle.Pickler):
    """Tensors as their shapes; one that is met twice (tied weights) as the same one."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self._met: dict[int, int] = {}

    def persistent_id(self, obj: Any) -> object:
        if not isinstance(obj, torch.Tensor):
            return None
        number = self._met.setdefault(id(obj), len(self._met))
        return number, tuple(obj.shape), str(obj.dtype), type(obj).__name__


def _file(module: str) -> str:
    """Where a loaded module comes from; nothing for those that are built in."""
    return getattr(sys.modules.get(module), "__file__", None) or ""


def _folder(file: str) -> str:
    return file.rpartition("/")[0]


def _is_installed(file: str) -> bool:
    return not file or file.startswith(_INSTALLED)
