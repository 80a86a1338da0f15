"""Task: what the board is to learn, and from how few examples."""

from dataclasses import dataclass

import torch

from toolkit.errors import BadInput


@dataclass(frozen=True)
class Examples:
    """Labelled inputs: `x` (N, *input_shape) float32, `y` (N,) int64."""

    x: torch.Tensor
    y: torch.Tensor

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Task:
    """A few-shot task over `classes`; labels of `support` and `query` index it.

    `general` and `general_query`, where given, are labelled data of the domain that the model was pretrained on (labels
    index the model's own outputs): compression keeps what they need, and reports what it cost them.
    """

    name: str
    classes: tuple[str, ...]
    support: Examples
    query: Examples
    general: Examples | None = None
    general_query: Examples | None = None


def validate_task(task: Task, source: str | None = None) -> Task:
    """The task itself if it can be learned from. Raises BadInput that lists everything wrong with it.

    `source` is where it was read from, for the error.
    """
    wrong: list[str] = []
    if len(task.classes) < 2:
        wrong.append(
            f"it has {len(task.classes)} class{'' if len(task.classes) == 1 else 'es'}, at least two are needed"
        )
    parts = {"support": task.support, "query": task.query}
    optional = {"general": task.general, "general_query": task.general_query}
    parts |= {name: part for name, part in optional.items() if part is not None}
    for name, part in parts.items():
        wrong += _wrong_with(name, part)
    for name in ("support", "query"):
        y = parts[name].y
        if isinstance(y, torch.Tensor) and y.dim() == 1 and len(y) and y.dtype == torch.int64:
            if int(y.min()) < 0 or int(y.max()) >= len(task.classes):
                wrong.append(f"{name} has labels outside 0..{len(task.classes) - 1}")
            elif name == "support":
                present = set(y.tolist())
                missing = [label for index, label in enumerate(task.classes) if index not in present]
                if missing:
                    wrong.append(f"no support example of {', '.join(missing[:5])}")
    shapes = {tuple(part.x.shape[1:]) for part in parts.values() if isinstance(part.x, torch.Tensor) and part.x.numel()}
    if len(shapes) > 1:
        wrong.append(f"inputs have different shapes: {', '.join(map(str, sorted(shapes)))}")
    if wrong:
        raise BadInput("; ".join(wrong), where=source or f"task {task.name}", next="Mend the data and run again.")
    return task


def _wrong_with(name: str, part: Examples) -> list[str]:
    if not isinstance(part.x, torch.Tensor) or not isinstance(part.y, torch.Tensor):
        return [f"{name} has x of {type(part.x).__name__} and y of {type(part.y).__name__}, expected tensors"]
    if part.x.dim() == 0 or len(part.x) == 0:
        return [f"{name} is empty"]
    if part.x.dim() < 2 or part.y.dim() != 1 or len(part.x) != len(part.y):
        return [f"{name} has x of shape {tuple(part.x.shape)}, y of {tuple(part.y.shape)}; expected (N, ...) and (N,)"]
    if part.x.dtype != torch.float32 or part.y.dtype != torch.int64:
        return [f"{name} has x of {part.x.dtype} and y of {part.y.dtype}, expected torch.float32 and torch.int64"]
    bad = ~torch.isfinite(part.x).flatten(1).all(1)
    return [f"{name} has NaN or infinity in {int(bad.sum())} of {len(bad)} inputs"] if bad.any() else []
