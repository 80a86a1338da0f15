"""Task: support and query examples, where they come from, what is wrong with them, how hard they look."""

from toolkit.tasks.complexity import Complexity, complexity_of
from toolkit.tasks.episodes import Episode, draw_episodes, episode_task
from toolkit.tasks.loaders import load_task
from toolkit.tasks.split import split_support
from toolkit.tasks.task import Examples, Task, validate_task

__all__ = [
    "Complexity",
    "Episode",
    "Examples",
    "Task",
    "complexity_of",
    "draw_episodes",
    "episode_task",
    "load_task",
    "split_support",
    "validate_task",
]
