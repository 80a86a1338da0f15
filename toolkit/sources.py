"""The code that a cached result depends on: sources of the packages that made it and of all that those import.

Imports are found in the sources themselves, so that no list of modules is kept by hand. A name that a package only
hands on leads to the module that defines it: `from toolkit.devices import probe` depends on `devices/facts.py` and not
on every transport.
"""

import ast
import functools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from toolkit.cache import digest

_ROOT = Path(__file__).parents[1]
_OURS = ("toolkit", "edge_runtime", "benchmarks")
# Distributions whose name is not that of their module, and what an exporter leaves its work to.
_DISTRIBUTIONS = {
    "sklearn": ("scikit-learn",),
    "onnx": ("onnx", "onnxscript", "onnx-ir"),
    "executorch": ("executorch", "torchao"),
}


@functools.cache
def code_digest(*names: str, root: Path = _ROOT) -> str:
    """SHA-256 (hex) over modules and packages, all that they import of ours, and the versions of the libraries used.

    `names` are dotted, e.g. `toolkit.compression`; a package stands for all of its modules. Modules of `toolkit.stages`
    count with their own text alone: whoever asks also names the packages that do the work, and a key does not change
    with how a board is reached. Raises ModuleNotFoundError for a name that there is not.
    """
    modules = modules_behind(*names, root=root)
    texts = {module: _file(root, module).read_bytes() for module in sorted(modules)}
    libraries = sorted({each for module in texts for each in _imports(root, module).libraries})
    versions = {name: _version(name) for library in libraries for name in _DISTRIBUTIONS.get(library, (library,))}
    return digest(versions, *(part for module, text in texts.items() for part in (module, text)))


def modules_behind(*names: str, root: Path = _ROOT) -> set[str]:
    """Those modules, or all modules of those packages, and all of ours that they import, directly or not."""
    found: set[str] = set()
    waiting = [module for name in names for module in _members(root, name)]
    while waiting:
        module = waiting.pop()
        if module in found:
            continue
        found.add(module)
        if not module.startswith("toolkit.stages."):
            waiting += _imported_by(root, module)
    return found


def _members(root: Path, name: str) -> list[str]:
    file = _file(root, name)
    if file.name != "__init__.py":
        return [name]
    parts = (path.relative_to(root).with_suffix("").parts for path in file.parent.rglob("*.py"))
    return [".".join(part).removesuffix(".__init__") for part in parts]


def _imported_by(root: Path, module: str) -> Iterator[str]:
    for source, name in _imports(root, module).ours:
        yield _definer(root, source, name)


def _definer(root: Path, module: str, name: str | None) -> str:
    """Which module `from module import name` gets it from; None: the module itself is imported."""
    if name is None:
        return module
    if _exists(root, f"{module}.{name}"):
        return f"{module}.{name}"
    handed_on = _imports(root, module).bound
    return _definer(root, *handed_on[name]) if name in handed_on else module


@dataclass(frozen=True)
class _Imports:
    """What one module imports: of ours as (module, name; None: all of it), by the name it has here; other libraries."""

    ours: frozenset[tuple[str, str | None]]
    bound: dict[str, tuple[str, str | None]]
    libraries: frozenset[str]


def _imports(root: Path, module: str) -> _Imports:
    file = _file(root, module)
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    return _imports_of(file.read_bytes(), package)


@functools.cache
def _imports_of(text: bytes, package: str) -> _Imports:
    found: list[tuple[str, str | None, str]] = []
    for statement in _statements(ast.parse(text)):
        if isinstance(statement, ast.Import):
            found += [(alias.name, None, alias.asname or "") for alias in statement.names]
        elif isinstance(statement, ast.ImportFrom):
            above = ".".join(package.split(".")[: len(package.split(".")) - statement.level + 1])
            module = ".".join(filter(None, (above if statement.level else "", statement.module)))
            found += [(module, alias.name, alias.asname or alias.name) for alias in statement.names]
    ours = [each for each in found if each[0].partition(".")[0] in _OURS]
    others = {module.partition(".")[0] for module, _, _ in found} - set(_OURS) - sys.stdlib_module_names
    return _Imports(
        frozenset((module, name) for module, name, _ in ours),
        {here: (module, name) for module, name, here in ours},
        frozenset(others),
    )


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """All of them, however deep; expressions hold none."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.expr):
            yield child
            yield from _statements(child)


def _exists(root: Path, module: str) -> bool:
    path = root.joinpath(*module.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def _file(root: Path, module: str) -> Path:
    path = root.joinpath(*module.split("."))
    for file in (path / "__init__.py", path.with_suffix(".py")):
        if file.is_file():
            return file
    raise ModuleNotFoundError(f"no module {module} in {root}", name=module)


@functools.cache
def _version(distribution: str) -> str | None:
    """None of what is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
