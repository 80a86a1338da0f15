"""Preprocessing: how a network's inputs were made of what lies in files, for whoever has to do it again."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Kind = Literal["images", "recordings", "arrays", "numbers", "texts"]
TOKENIZER = "tokenizer.json"


@dataclass(frozen=True)
class Preprocessing:
    """What files of the task held. Lengths and counts of tokens are those of the network's input.

    `mean` and `std` are of a channel each, or one of all; `columns` are a table's, in order; `padding_id` is the token
    that follows a short text; of images with an `image_size`, height and width, each is scaled and cropped. Bytes
    (uint8) of arrays reach the network as 0 to 1.
    """

    kind: Kind
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    sample_rate_hz: int | None = None
    image_size: tuple[int, int] | None = None
    columns: tuple[str, ...] = ()
    tokenizer: Path | None = None
    padding_id: int | None = None

    def told(self) -> dict[str, Any]:
        """As a release's manifest has it; the tokenizer lies beside."""
        said = {name: value for name, value in vars(self).items() if value not in (None, ())}
        return said | ({"tokenizer": TOKENIZER} if self.tokenizer else {})


def read_told(said: dict[str, Any], folder: Path) -> Preprocessing:
    """What `told` wrote, with the tokenizer of a release that lies in `folder`."""
    given: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in said.items()}
    return Preprocessing(**given | ({"tokenizer": folder / TOKENIZER} if "tokenizer" in given else {}))
