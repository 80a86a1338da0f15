"""A folder that serves a release for ExecuTorch, and the library that applications link with, called from Python."""

import ctypes
import json
import platform
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge_runtime.digests import sha256
from toolkit.devices.native.build import APPLICATION, build_runner
from toolkit.devices.native.toolchain import find_toolchain

# Classes and logits of an example of zeros, a line each.
CALLS = """
#include <stdio.h>
#include "edge_runtime.h"

int main(int count, char** arguments) {
  edge_model* model = edge_load(count == 2 ? arguments[1] : NULL, 1);
  edge_tensor input;
  float zeros[4096] = {0};
  edge_answer answer;
  if (!model || edge_input(model, 0, &input) != 1) return puts(edge_error()), 1;
  input.values = zeros;
  if (edge_call(model, &input, 1, &answer) != 0) return puts(edge_error()), 1;
  for (size_t i = 0; i < answer.values_per_example; ++i) printf("%s %.6f\\n", answer.classes[i], answer.values[i]);
  edge_close(model);
  return 0;
}
"""
# Learns and undoes for ever, with another seed each time, from zeros and ones of 24 examples.
LEARNS = """
#include <stdio.h>
#include <stdlib.h>
#include "edge_runtime.h"

int main(int count, char** arguments) {
  edge_model* model = edge_load(count == 3 ? arguments[1] : NULL, 1);
  edge_tensor input;
  edge_learned learned;
  static float values[24 * 4096];
  int64_t places[24], many[] = {24}, shape[8] = {24};
  edge_tensor targets = {NULL, EDGE_INT64, places, many, 1};
  if (!model || edge_input(model, 0, &input) != 1) return puts(edge_error()), 1;
  size_t size = 1;
  for (size_t i = 0; i < input.dimensions; ++i) size *= (size_t)(shape[i + 1] = input.shape[i]);
  for (size_t row = 0; row < 24; ++row) {
    places[row] = (int64_t)(row % 3);
    for (size_t i = 0; i < size; ++i) values[row * size + i] = (float)((row * 7 + i) % 3 == row % 3);
  }
  edge_tensor examples = {NULL, EDGE_FLOAT32, values, shape, input.dimensions + 1};
  for (uint64_t seed = (uint64_t)atoi(arguments[2]);; ++seed) {
    edge_how how = {5, 0, seed};
    if (edge_learn(model, &examples, 1, &targets, &how, &learned) != 0) return puts(edge_error()), 1;
    puts(learned.accepted ? "learned" : "refused");
    fflush(stdout);
    if (seed % 3 == 0 && edge_undo(model) < 0) return puts(edge_error()), 1;
  }
}
"""
TYPES = ("float32", "int64", "int32", "int16", "uint8", "int8", "bool")


class Tensor(ctypes.Structure):
    """`edge_tensor`."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("type", ctypes.c_int),
        ("values", ctypes.c_void_p),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("dimensions", ctypes.c_size_t),
    )


class Answer(ctypes.Structure):
    """`edge_answer`."""

    _fields_ = (
        ("values", ctypes.POINTER(ctypes.c_float)),
        ("examples", ctypes.c_size_t),
        ("values_per_example", ctypes.c_size_t),
        ("classes", ctypes.POINTER(ctypes.c_char_p)),
        ("classes_count", ctypes.c_size_t),
        ("release", ctypes.c_char_p),
    )


class How(ctypes.Structure):
    """`edge_how`."""

    _fields_ = (("steps", ctypes.c_int64), ("seconds", ctypes.c_double), ("seed", ctypes.c_uint64))


class Learned(ctypes.Structure):
    """`edge_learned`."""

    _fields_ = (
        ("accepted", ctypes.c_int),
        ("reason", ctypes.c_char_p),
        ("examples", ctypes.c_int64),
        ("steps", ctypes.c_int64),
        ("judged", ctypes.c_int),
        *((name, ctypes.c_double) for name in ("loss_before", "score_before", "loss_after", "score_after")),
    )


class Refused(Exception):
    """What `edge_error` says."""


@dataclass(frozen=True)
class Said:
    """An answer, copied out of the library."""

    values: np.ndarray
    classes: list[str]
    release: str


class Model:
    """`edge_model`."""

    def __init__(self, root: Path, threads: int = 1) -> None:
        self._library = library()
        self._model = self._library.edge_load(str(root).encode(), threads)
        if not self._model:
            raise Refused(self._library.edge_error().decode())

    def close(self) -> None:
        """Once, or again."""
        self._library.edge_close(self._model)
        self._model = None

    def __call__(self, *inputs: np.ndarray, **named: np.ndarray) -> Said:
        answer = Answer()
        given = _tensors(inputs, named)
        self._check(self._library.edge_call(self._model, given, len(given), ctypes.byref(answer)))
        shape = answer.examples, answer.values_per_example
        values = np.ctypeslib.as_array(answer.values, (shape[0] * shape[1],)).reshape(shape).copy()
        return Said(values, [answer.classes[i].decode() for i in range(answer.classes_count)], answer.release.decode())

    def learn(self, x: np.ndarray, y: np.ndarray, **how: Any) -> dict[str, Any]:
        learned = Learned()
        given, target = _tensors((x,), {}), _tensors((y,), {})
        asked = ctypes.byref(How(**how)) if how else None
        self._check(self._library.edge_learn(self._model, given, 1, target, asked, ctypes.byref(learned)))
        return {name: getattr(learned, name) for name, _ in Learned._fields_}

    def undo(self) -> bool:
        return self._check(self._library.edge_undo(self._model)) == 1

    def reload(self) -> bool:
        return self._check(self._library.edge_reload(self._model)) == 1

    def info(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self._library.edge_info(self._model))
        return told

    def input(self, place: int) -> tuple[str, str, tuple[int, ...]] | None:
        """Name, type and shape."""
        found = Tensor()
        if self._check(self._library.edge_input(self._model, place, ctypes.byref(found))) == 0:
            return None
        shape = tuple(found.shape[i] for i in range(found.dimensions))
        return found.name.decode(), TYPES[found.type], shape

    def _check(self, said: int) -> int:
        if said < 0:
            raise Refused(self._library.edge_error().decode())
        return said


def library() -> ctypes.CDLL:
    """This machine's."""
    loaded = ctypes.CDLL(str(application(platform.machine()) / "libedge_runtime.so"))
    loaded.edge_load.restype = ctypes.c_void_p
    loaded.edge_load.argtypes = [ctypes.c_char_p, ctypes.c_int]
    for name in ("edge_error", "edge_info"):
        getattr(loaded, name).restype = ctypes.c_char_p
    for name in ("close", "info", "reload", "undo"):
        getattr(loaded, f"edge_{name}").argtypes = [ctypes.c_void_p]
    tensors = ctypes.POINTER(Tensor)
    loaded.edge_call.argtypes = [ctypes.c_void_p, tensors, ctypes.c_size_t, ctypes.POINTER(Answer)]
    loaded.edge_input.argtypes = [ctypes.c_void_p, ctypes.c_size_t, tensors]
    loaded.edge_learn.argtypes = [
        *(ctypes.c_void_p, tensors, ctypes.c_size_t, tensors, ctypes.POINTER(How), ctypes.POINTER(Learned))
    ]
    return loaded


def application(machine: str) -> Path:
    """The folder that applications for that machine link with."""
    return build_runner(machine) / APPLICATION


def compile_c(machine: str, folder: Path, source: str = CALLS) -> Path:
    """A program in C for that machine that links with the library; it takes the folder of a board."""
    (folder / "main.c").write_text(source)
    there, compiler = application(machine), find_toolchain(machine).program("gcc")
    strict = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"]
    # What ExecuTorch's libraries need is looked for where the program runs.
    linked = [f"-I{there}", f"-L{there}", "-ledge_runtime", "-Wl,--unresolved-symbols=ignore-in-shared-libs"]
    subprocess.run([compiler, *strict, "main.c", "-o", "main", *linked], cwd=folder, check=True)
    return folder / "main"


def serve(root: Path, release: Path) -> str:
    """Let a folder serve the release in that one, as a deployment would; its digest."""
    digest = sha256(str(release / "manifest.json"))
    for name in ("releases", "adapted"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "edge-deploy-folder").touch()
    if not (root / "releases" / digest).exists():
        shutil.copytree(release, root / "releases" / digest)
    aside = root / "aside"
    aside.symlink_to(Path("releases", digest))
    aside.rename(root / "current")
    return digest


def _tensors(inputs: tuple[np.ndarray, ...], named: Mapping[str, np.ndarray]) -> Any:
    pairs = [*((None, each) for each in inputs), *((name.encode(), each) for name, each in named.items())]
    arrays = [(name, np.ascontiguousarray(each)) for name, each in pairs]
    made = (Tensor * len(arrays))()
    for tensor, (name, array) in zip(made, arrays, strict=True):
        shape = (ctypes.c_int64 * array.ndim)(*array.shape)
        tensor.name, tensor.type, tensor.values = name, TYPES.index(str(array.dtype)), array.ctypes.data
        tensor.shape, tensor.dimensions = shape, array.ndim
    made.kept = arrays  # as long as the structures point into them
    return made
