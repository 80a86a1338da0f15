"""What nobody means by examples, and nothing refuses."""

import hashlib
from collections.abc import Sequence

from toolkit.tasks.task import Examples


def doubts(examples: Examples, classes: Sequence[str], what: str) -> list[str]:
    """In sentences: `what` (support examples, say) are all the same, or equal ones have different labels.

    `classes` are names of the labels, none where targets are no classes.
    """
    seen: dict[bytes, int] = {}
    pairs = []
    rows = [each.contiguous().numpy() for each in examples.x]
    for index in range(len(examples)):
        content = hashlib.sha256(b"".join(values[index].tobytes() for values in rows)).digest()
        first = seen.setdefault(content, index)
        if classes and examples.y[first] != examples.y[index]:
            pairs.append((first, index))
    if len(seen) == 1 < len(examples):
        return [f"all {what} are the same: nothing can be learned from them"]
    if not pairs:
        return []
    first, second = pairs[0]
    one, other = (classes[int(examples.y[index])] for index in pairs[0])
    more = f", and {len(pairs) - 1} more like them" if len(pairs) > 1 else ""
    return [
        f"{what} {first} and {second} are the same but labelled {one} and {other}{more}: one label of each is wrong"
    ]
