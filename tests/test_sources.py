"""A cached result's key changes with any code behind it, and with no other."""

import ast
import importlib
import shutil
from pathlib import Path

import pytest

import toolkit
from toolkit.sources import code_digest, modules_behind

CHECKOUT = Path(toolkit.__file__).parents[1]
NAMES = ("__name__", "packages", "ours")
COMPUTE = ("toolkit.adaptation", "toolkit.compression", "toolkit.distillation", "toolkit.runtimes")


def calls() -> list[tuple[Path, ast.Call]]:
    """Every call of `code_digest` in our sources."""
    return [
        (path, node)
        for folder in ("toolkit", "edge_runtime", "benchmarks")
        for path in sorted((CHECKOUT / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "code_digest"
    ]


def names_in(path: Path, call: ast.Call) -> list[str]:
    """The packages and modules that a call in `path` names, also through a tuple that it unpacks."""
    texts = {node.value for each in [call, *_tuples(path)] for node in ast.walk(each) if isinstance(node, ast.Constant)}
    named = [
        text for text in texts if isinstance(text, str) and text.startswith(("toolkit.", "edge_runtime", "benchmarks."))
    ]
    itself = [module_of(path)] if any(isinstance(each, ast.Name) for each in call.args) else []
    return named + itself


def _tuples(path: Path) -> list[ast.AST]:
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Tuple)]


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(CHECKOUT).with_suffix("").parts)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the package's sources."""
    for package in ("toolkit", "edge_runtime"):
        shutil.copytree(CHECKOUT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "runner"))
    return tmp_path


def key(root: Path, *names: str) -> str:
    code_digest.cache_clear()
    return code_digest(*names, root=root)


def edit(root: Path, module: str) -> None:
    path = root.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    file.write_text(file.read_text() + "#")


@pytest.mark.parametrize(
    "module",
    [
        "toolkit.runtimes.program",
        "toolkit.compression.layers",  # fold_all
        "toolkit.compression.compress",  # only through another
        "toolkit.devices.releases.manifest",
        "toolkit.errors",
    ],
)
def test_a_byte_in_anything_imported_changes_the_key(tree: Path, module: str) -> None:
    before = key(tree, "toolkit.runtimes")
    edit(tree, module)
    assert key(tree, "toolkit.runtimes") != before


def test_every_module_found_counts(tree: Path) -> None:
    before = key(tree, "toolkit.distillation")
    for module in modules_behind("toolkit.distillation", root=tree):
        edit(tree, module)
        now = key(tree, "toolkit.distillation")
        assert now != before, module
        before = now


@pytest.mark.parametrize("module", ["toolkit.devices.ssh.link", "toolkit.report.html", "toolkit.profiling.steady"])
def test_an_unrelated_module_does_not(tree: Path, module: str) -> None:
    before = key(tree, "toolkit.runtimes", "toolkit.compression", "toolkit.distillation")
    edit(tree, module)
    assert key(tree, "toolkit.runtimes", "toolkit.compression", "toolkit.distillation") == before


def test_imports_are_followed_however_they_are_written(tmp_path: Path) -> None:
    package = tmp_path / "toolkit"
    (package / "inner").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "inner" / "__init__.py").write_text("from toolkit.inner.deep import made as handed_on\n")
    (package / "inner" / "deep.py").write_text("made = 1\n")
    (package / "inner" / "beside.py").write_text("from .deep import made\n")
    (package / "late.py").touch()
    (package / "start.py").write_text("from toolkit.inner import handed_on\n\ndef f():\n    import toolkit.late\n")
    assert modules_behind("toolkit.start", root=tmp_path) == {"toolkit.start", "toolkit.inner.deep", "toolkit.late"}
    assert modules_behind("toolkit.inner.beside", root=tmp_path) == {"toolkit.inner.beside", "toolkit.inner.deep"}
    (package / "inner" / "__init__.py").write_text("handed_on = 1\n")
    assert modules_behind("toolkit.start", root=tmp_path) == {"toolkit.start", "toolkit.inner", "toolkit.late"}


def test_a_name_that_there_is_not_is_refused() -> None:
    with pytest.raises(ModuleNotFoundError):
        code_digest("toolkit.no_such_module")


def test_keys_name_packages_and_no_functions() -> None:
    sites = calls()
    assert len(sites) > 10
    for path, call in sites:
        for argument in call.args:
            inner = argument.value if isinstance(argument, ast.Starred) else argument
            assert isinstance(inner, ast.Constant) or (isinstance(inner, ast.Name) and inner.id in NAMES), path


@pytest.mark.parametrize("path", sorted({path for path, _ in calls() if "stages" in path.parts}), ids=lambda p: p.stem)
def test_a_stage_names_all_that_does_its_work(path: Path) -> None:
    """What a stage imports of the packages that compute is behind the names in its key."""
    [call] = [call for each, call in calls() if each == path]
    behind = modules_behind(*names_in(path, call))
    for statement in ast.walk(ast.parse(path.read_text())):
        if not isinstance(statement, ast.ImportFrom) or not statement.module:
            continue
        for alias in statement.names:
            other_stage = statement.module.startswith("toolkit.stages.") and alias.name[0].islower()
            if statement.module.startswith(COMPUTE) or other_stage:
                assert definer(statement.module, alias.name) in behind, alias.name


def definer(module: str, name: str) -> str:
    found = getattr(importlib.import_module(module), name)
    made_in = getattr(found, "__module__", None)
    return made_in if isinstance(made_in, str) and made_in.startswith("toolkit.") else module
