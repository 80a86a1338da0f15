"""Tasks from where people keep them: a folder, a `.npz`, a table, or a Python factory."""

from collections.abc import Callable
from pathlib import Path

from toolkit.errors import BadInput
from toolkit.factories import call_factory
from toolkit.reading import AS_IT_IS, Reading, require_of_use
from toolkit.tasks.annotated import is_annotated, task_from_annotated
from toolkit.tasks.folder import task_from_folder
from toolkit.tasks.labelled_rows import task_from_table
from toolkit.tasks.npz import task_from_npz
from toolkit.tasks.table import TABLES
from toolkit.tasks.task import Task, validate_task


def load_task(
    source: str,
    *,
    shots: int,
    seed: int,
    reading: Reading = AS_IT_IS,
    usual: Reading = AS_IT_IS,
    on_note: Callable[[str], None] = lambda said: None,
) -> Task:
    """Read and validate the task. From files, `shots` examples a class become the support, the rest query.

    Files are read as `reading` says, and where that says nothing as is `usual` for the model. `on_note` hears what the
    user should know of how values are read. Raises BadInput that says what is wrong with the source.
    """
    path = Path(source)
    if path.is_dir() and is_annotated(path):
        task = task_from_annotated(path, shots, seed, reading, usual, on_note)
    elif path.is_dir():
        task = task_from_folder(path, shots, seed, reading, usual, on_note)
    elif path.suffix == ".npz" and path.exists():
        task = task_from_npz(path, shots, seed, reading, on_note)
    elif path.suffix.lower() in TABLES and path.exists():
        task = task_from_table(path, shots, seed, reading, usual, on_note)
    elif ":" in source and not path.exists():
        require_of_use(reading, (), source, "a factory, which returns what the model gets")
        task = call_factory(source, "task", Task, shots=shots, seed=seed)
    else:
        raise BadInput(
            "there is no such task" if not path.exists() else "this is no task",
            where=source,
            next="Give a folder with one sub-folder a class, or with images and masks or boxes, a .npz with x and y, "
            "a .csv or .jsonl with labels, or package.module:factory.",
        )
    return validate_task(task, source)
