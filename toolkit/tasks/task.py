"""Task: what the board is to learn, and from how few examples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from toolkit.errors import BadInput
from toolkit.inputs import ONE_TENSOR, Given, Inputs, inputs_of
from toolkit.objectives import CLASSIFICATION, Classification, Objective
from toolkit.preprocessing import Preprocessing

_TOGETHER = 1024
# Numbers, names of things (of tokens, say), and what is there or not.
_TYPES = (torch.float32, torch.int64, torch.int32, torch.bool)


@dataclass(frozen=True, init=False)
class Examples:
    """Labelled inputs: `x`, tensors (N, *shape) by the name of their port, and targets `y` (N, ...): labels, say.

    Made of one tensor, which is then the port `x`, or of tensors by name: `Examples({"image": a, "age": b}, y)`.
    """

    x: Inputs
    y: torch.Tensor

    def __init__(self, x: Given, y: torch.Tensor) -> None:
        object.__setattr__(self, "x", inputs_of(x))
        object.__setattr__(self, "y", y)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, rows: slice | torch.Tensor | Sequence[int]) -> "Examples":
        return Examples(self.x[rows], self.y[rows])

    @property
    def content(self) -> tuple[object, ...]:
        """All that tells them from others: parts of a cache's key."""
        return (self.x.ports, *(each.numpy().tobytes() for each in (*self.x, self.y)))


@dataclass(frozen=True)
class Task:
    """A few-shot task: what the `objective` wants of a network's outputs, from few examples.

    Labels of a classification index `classes`; for other objectives these are names, if there are any.

    `general` and `general_query`, where given, are labelled data of the domain that the model was pretrained on (labels
    index the model's own outputs): compression keeps what they need, and reports what it cost them. `preprocessing` is
    how inputs were made of files, where they were.
    """

    name: str
    classes: tuple[str, ...]
    support: Examples
    query: Examples
    general: Examples | None = None
    general_query: Examples | None = None
    objective: Objective = CLASSIFICATION
    preprocessing: Preprocessing | None = None

    @property
    def classifies(self) -> bool:
        """Whether each example is of one of the classes: then a head can be fitted."""
        return isinstance(self.objective, Classification)

    @property
    def strata(self) -> torch.Tensor:
        """(N,) int64: of each of them as many support examples are held out in turn."""
        return self.support.y if self.classifies else torch.zeros(len(self.support), dtype=torch.int64)


def validate_task(task: Task, source: str | None = None) -> Task:
    """The task itself if it can be learned from. Raises BadInput that lists everything wrong with it.

    `source` is where it was read from, for the error.
    """
    wrong: list[str] = []
    if task.classifies and len(task.classes) < 2:
        wrong.append(
            f"it has {len(task.classes)} class{'' if len(task.classes) == 1 else 'es'}, at least two are needed"
        )
    parts = {"support": task.support, "query": task.query}
    optional = {"general": task.general, "general_query": task.general_query}
    parts |= {name: part for name, part in optional.items() if part is not None}
    for name, part in parts.items():
        wrong += _wrong_with(name, part, task.classifies)
    for name in ("support", "query") if task.classifies else ():
        y = parts[name].y
        if isinstance(y, torch.Tensor) and y.dim() == 1 and len(y) and y.dtype == torch.int64:
            if int(y.min()) < 0 or int(y.max()) >= len(task.classes):
                wrong.append(f"{name} has labels outside 0..{len(task.classes) - 1}")
            elif name == "support":
                present = set(y.tolist())
                missing = [label for index, label in enumerate(task.classes) if index not in present]
                if missing:
                    wrong.append(f"no support example of {', '.join(missing[:5])}")
    wrong += _differences(parts)
    if wrong:
        raise BadInput("; ".join(wrong), where=source or f"task {task.name}", next="Mend the data and run again.")
    return task


def _differences(parts: Mapping[str, Examples]) -> list[str]:
    """What one part has another of than the others: names, and the shape and type of what has the same name."""
    filled = [part.x for part in parts.values() if part.x.tensors and _are_tensors(part) and part.y.numel()]
    names = {tuple(x.tensors) for x in filled}
    if len(names) > 1:
        return [f"inputs have different names, or another order: {'; '.join(map(', '.join, sorted(names)))}"]
    wrong = []
    for name in filled[0].tensors if filled else ():
        of_port = [x.tensors[name] for x in filled]
        for what, found in (("shapes", {tuple(x.shape[1:]) for x in of_port}), ("types", {x.dtype for x in of_port})):
            if len(found) > 1:
                wrong.append(f"inputs{_of(name)} have different {what}: {', '.join(sorted(map(str, found)))}")
    return wrong


def _wrong_with(name: str, part: Examples, classifies: bool) -> list[str]:
    if not part.x.tensors:
        return [f"{name} has no inputs"]
    if not _are_tensors(part):
        kinds = [f"{port} of {type(each).__name__}" for port, each in (*part.x.tensors.items(), ("y", part.y))]
        return [f"{name} has {' and '.join(kinds)}, expected tensors"]
    if any(each.dim() == 0 or len(each) == 0 for each in part.x):
        return [f"{name} is empty"]
    found = [_wrong_with_port(name, port, x, part.y, classifies) for port, x in part.x.tensors.items()]
    return [each for each in found if each]


def _of(port: str) -> str:
    """Which ones, but for those that were given without a name."""
    return "" if port == ONE_TENSOR else f" {port}"


def _are_tensors(part: Examples) -> bool:
    return all(isinstance(each, torch.Tensor) for each in (*part.x.tensors.values(), part.y))


def _wrong_with_port(name: str, port: str, x: torch.Tensor, y: torch.Tensor, classifies: bool) -> str | None:
    if x.dim() < 2 or (classifies and y.dim() != 1) or len(x) != len(y):
        wanted = "(N,)" if classifies else "as many"
        return f"{name} has {port} of shape {tuple(x.shape)}, y of {tuple(y.shape)}; expected (N, ...) and {wanted}"
    if x.dtype not in _TYPES or (classifies and y.dtype != torch.int64):
        known = ", ".join(str(each).removeprefix("torch.") for each in _TYPES)
        return f"{name} has {port} of {x.dtype} and y of {y.dtype}; expected one of {known}, and torch.int64"
    # A part at a time: what it takes to look is a multiple of what is looked at.
    bad = torch.cat([~torch.isfinite(rows).flatten(1).all(1) for rows in x.split(_TOGETHER)])
    return f"{name} has NaN or infinity in {int(bad.sum())} of {len(bad)} inputs{_of(port)}" if bad.any() else None
