"""Task: support and query examples, where they come from, what is wrong with them."""

from toolkit.tasks.loaders import load_task, split_support
from toolkit.tasks.task import Examples, Task, validate_task

__all__ = ["Examples", "Task", "load_task", "split_support", "validate_task"]
