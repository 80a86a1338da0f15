"""Every benchmark can be loaded: what it takes from the project is there, by that name and from where it is started."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Each as if it were started alone: modules of the others, and paths that they add, are taken back.
_LOAD_EACH = """
import runpy, sys, traceback
from pathlib import Path
before, path = set(sys.modules), [str(Path("benchmarks").absolute()), *sys.path]
for script in sorted(Path("benchmarks").glob("*.py")):
    sys.path[:] = path
    try:
        runpy.run_path(str(script), run_name=script.stem)
    except Exception:
        traceback.print_exc()
        print(script)
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if "/benchmarks/" in file or "/tests/" in file:
            del sys.modules[name]
"""


def test_benchmarks_find_what_they_take() -> None:
    done = subprocess.run([sys.executable, "-c", _LOAD_EACH], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
