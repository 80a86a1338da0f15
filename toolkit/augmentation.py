"""Augmentation: how examples are varied while a compact model trains, so that a small set is not learned by heart."""

from typing import Literal, get_args

from toolkit.errors import BadInput

Variation = Literal["noise", "shift", "crop", "mirror"]
Augmentation = tuple[Variation, ...]

NONE = "none"


def parse_augmentation(text: str) -> Augmentation:
    """`noise+shift` and the like, in any order, or `none`. Raises BadInput that names every part that is wrong."""
    if text == NONE:
        return ()
    parts = [part.strip() for part in text.split("+")]
    known = get_args(Variation)
    wrong = [f"'{part}' is not known" for part in dict.fromkeys(parts) if part not in known]
    wrong += [f"'{part}' is there twice" for part in dict.fromkeys(parts) if part in known and parts.count(part) > 1]
    if wrong:
        raise BadInput(
            "; ".join(wrong), where="recovery.augment", next=f"Join {', '.join(known)} with +, or give {NONE}."
        )
    return tuple(name for name in known if name in parts)
