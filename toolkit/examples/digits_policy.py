"""The policy that comes with the digits example, and how it was made: `python -m toolkit.examples.digits_policy`.

Trained on few-shot tasks of three to seven of the digits 0-6, upright or on their sides: it has never seen 7, 8 and 9.
Some minutes on one core.
"""

from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

from toolkit.choice import rank
from toolkit.cli.console import stderr
from toolkit.cli.progress import progress_on
from toolkit.compression import break_even_rank
from toolkit.compression.policy import save_policy
from toolkit.distillation import train_policy
from toolkit.request import Request
from toolkit.stages import Watch, load
from toolkit.stages.worth import weigh
from toolkit.targets import load_target
from toolkit.tasks import Examples, Task, draw_episodes, episode_task

FILE = Path(__file__).with_suffix(".safetensors")
_WAYS, _SHOTS, _QUERIES = (3, 5, 7), (1, 5), 5
_STEPS, _ROOM, _RANK_STEP = 80, (0.1, 0.6), 8


def few_shot_tasks(examples: Examples, seed: int) -> Iterator[Task]:
    """Tasks without end: each number of ways and shots in turn."""
    kinds = [
        draw_episodes(examples.y, ways=ways, shots=shots, queries=_QUERIES, seed=seed)
        for ways in _WAYS
        for shots in _SHOTS
    ]
    for episodes in cycle(kinds):
        yield episode_task(examples, next(episodes), "digits 0-6, turned")


def main() -> None:
    """Train, and write the file that ships."""
    with progress_on(stderr()) as progress:
        watch = Watch(progress)
        job = load(Request(), load_target("host"), watch)
        assert job.task.general is not None
        choices = {
            name: tuple(map(rank, range(_RANK_STEP, break_even_rank(layer) + 1, _RANK_STEP)))
            for name, layer in job.layers.items()
        }
        worth = weigh(job, choices, Request.curve, 0, watch)
        policy = train_policy(
            job.network.backbone,
            job.layers,
            worth.spectra,
            worth.gains,
            few_shot_tasks(job.task.general, seed=0),
            steps=_STEPS,
            room=_ROOM,
            seed=0,
            on_progress=progress.advance,
        )
    save_policy(policy, FILE)


if __name__ == "__main__":
    main()
