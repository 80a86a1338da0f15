"""Which examples are learned from and which judge."""

from collections.abc import Sequence

import numpy as np

from toolkit.errors import BadInput
from toolkit.tasks.task import Examples
from toolkit.tasks.values import examples_of

# Without classes there are so many times `shots` examples to learn from.
_WITHOUT_CLASSES = 10
# One general example in five is held out, where there are enough for that to say something.
_ONE_IN, _ENOUGH_TO_SHARE = 5, 50


def split_support(
    x: np.ndarray, y: np.ndarray, *, shots: int, seed: int, where: str, classes: Sequence[str] = ()
) -> tuple[Examples, Examples]:
    """Draw `shots` examples of each class as support; the rest is query. Raises BadInput as `draw_support` does.

    Values of x (N, *input_shape) stay what they are, in float32.
    """
    support, query = draw_support(y, shots=shots, seed=seed, where=where, classes=classes)
    y = y.astype(np.int64)
    return examples_of(x, y, support), examples_of(x, y, query)


def draw_support(
    y: np.ndarray, *, shots: int, seed: int, where: str, classes: Sequence[str] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of `shots` examples of each class, and of all others, both ascending.

    Labels `y` (N,) index `classes`, where given: an error then names the class. Raises BadInput if a class has too few.
    """
    generator = np.random.default_rng(seed)
    chosen = np.zeros(len(y), dtype=bool)
    for label in np.unique(y):
        members = np.flatnonzero(y == label)
        if len(members) <= shots:
            name = classes[label] if len(classes) else label
            raise BadInput(
                f"class {name} has {len(members)} example(s); {shots} for support leave none to query",
                where=where,
                next=f"Add examples, or lower --shots to {len(members) - 1}." if len(members) > 1 else "Add examples.",
            )
        chosen[generator.permutation(members)[:shots]] = True
    return np.flatnonzero(chosen), np.flatnonzero(~chosen)


def draw_support_of_all(count: int, *, shots: int, seed: int, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Indices of ten times `shots` of so many examples that have no class, and of all others. Raises BadInput."""
    wanted, most = shots * _WITHOUT_CLASSES, (count - 1) // _WITHOUT_CLASSES
    if count <= wanted:
        raise BadInput(
            f"has {count} example(s); without classes --shots {shots} takes {wanted}, which leaves none to query",
            where=where,
            next=f"Add examples, or lower --shots to {most}." if most else "Add examples: ten or fewer are too few.",
        )
    return draw_support(np.zeros(count, np.int64), shots=wanted, seed=seed, where=where)


def draw_to_judge_on(count: int, seed: int) -> np.ndarray:
    """Which of so many general examples nothing is learned from, ascending; of a handful, none."""
    drawn = count // _ONE_IN if count >= _ENOUGH_TO_SHARE else 0
    return np.sort(np.random.default_rng(seed).permutation(count)[:drawn])
