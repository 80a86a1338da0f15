"""The folder that a run's results go to."""

import datetime
import itertools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from toolkit.errors import BadInput


@contextmanager
def run_folder(runs: Path, target: str) -> Iterator[Path]:
    """A new folder <time>-<target> in `runs`, and none where nothing came out of the run.

    Raises BadInput before the work rather than after it.
    """
    name = f"{datetime.datetime.now():%Y%m%d-%H%M%S}-{target}"
    try:
        runs.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=runs).close()
        folder = _made(runs, name)
    except OSError as error:
        raise BadInput(
            f"cannot receive results: {error.strerror}", where=str(runs), next="Choose another folder with --runs."
        ) from None
    try:
        yield folder
    finally:
        with suppress(OSError):  # it holds results
            folder.rmdir()


def _made(runs: Path, name: str) -> Path:
    """Numbered where another run began in the same second."""
    for number in itertools.count(1):
        folder = runs / (name if number == 1 else f"{name}-{number}")
        with suppress(FileExistsError):
            folder.mkdir()
            return folder
    raise AssertionError("unreachable")
