"""Case: one model that a user brings, with a task for it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """`model` and `task` name factories. `saved` models are written by `save_pretrained`, and deployed as `hf:DIR`.

    `refused` is a word of the reason for which the model has to be refused; None where it has to be deployed.
    """

    name: str
    model: str
    task: str
    saved: bool = False
    refused: str | None = None
