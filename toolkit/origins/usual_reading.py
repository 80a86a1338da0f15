"""How a Hugging Face directory's model wants files read, where the user does not say."""

import json
from pathlib import Path
from typing import Any

from toolkit.model_name import directory_of, is_hugging_face
from toolkit.reading import AS_IT_IS, RATES_HZ, Reading

_TOKENIZERS = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "spiece.model")
_PROCESSORS = ("preprocessor_config.json", "processor_config.json")


def usual_reading(model: str) -> Reading:
    """The tokenizer, the size of images and the rate of recordings that hf:DIR brings; nothing of other models.

    What a file says in a way that is not known is left out: the model is then asked, and says what it does not take.
    """
    if not is_hugging_face(model):
        return AS_IT_IS
    directory = directory_of(model)
    processor = next((found for name in _PROCESSORS if (found := _read(directory / name))), {})
    rate_hz = processor.get("sampling_rate")
    return Reading(
        image_size=_size(processor.get("crop_size")) or _size(processor.get("size")),
        sample_rate_hz=rate_hz if isinstance(rate_hz, int) and rate_hz in RATES_HZ else None,
        tokenizer=directory if any((directory / name).is_file() for name in _TOKENIZERS) else None,
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _size(said: object) -> tuple[int, int] | None:
    """224, {"height": 224, "width": 224} or {"shortest_edge": 224}."""
    sides: tuple[object, ...] = (said, said)
    if isinstance(said, dict):
        sides = (said.get("height"), said.get("width"))
        if None in sides:
            sides = (said.get("shortest_edge"),) * 2
    height, width = sides
    if isinstance(height, int) and isinstance(width, int) and min(height, width) > 0:
        return height, width
    return None
