"""Which programs to time next: a spread over every layer first, then always those that are hardest to predict."""

from itertools import zip_longest

from toolkit.profiling.measurement import Measurement
from toolkit.profiling.pieces import Piece
from toolkit.profiling.predictor import ROWS_AT_LEAST, fit_predictor
from toolkit.profiling.variants import Variants
from toolkit.runtimes.arithmetic import Arithmetic

# A prediction this sure (standard deviation, as a share) is as good as a measurement on a steady board.
_SURE = 0.02


def spread(variants: Variants) -> list[str]:
    """All distinct layers dense, then all at their smallest rank, then at their largest, then at one in the middle.

    Layers that lost channels come last, and only where a predictor has too little to learn from without them.
    """
    families: dict[tuple[str, Arithmetic], list[tuple[str, Piece]]] = {}
    for key, variant in variants.items():
        if variant.narrowed:
            continue
        families.setdefault((key.rpartition(":")[0], variant.arithmetic), []).append((key, variant))
    chosen = []
    for family in families.values():
        ranked = sorted((piece.choice, key) for key, piece in family if piece.choice.size is not None)
        ends = [ranked[index][1] for index in (0, -1, len(ranked) // 2)] if ranked else []
        chosen.append([*(key for key, piece in family if piece.choice.size is None), *ends])
    first = list(dict.fromkeys(key for turn in zip_longest(*chosen) for key in turn if key is not None))
    narrowed = [key for key, variant in variants.items() if variant.narrowed]
    return first + narrowed[: max(0, ROWS_AT_LEAST - len(first))]


def necessary(variants: Variants) -> int:
    """How many of the spread must be timed whatever it takes: all layers dense, and enough to predict the others by."""
    return max(ROWS_AT_LEAST, sum(each.choice.size is None and not each.narrowed for each in variants.values()))


def unsure(variants: Variants, rows: dict[str, Measurement]) -> list[str]:
    """What is still worth timing, the least sure first; nothing once all are predicted well enough."""
    unseen = [key for key in variants if key not in rows]
    predictor = fit_predictor(rows) if unseen else None
    if predictor is None:
        return unseen
    doubts = {key: each.relative_std for key, each in zip(unseen, predictor.predict(unseen), strict=True)}
    return sorted((key for key, doubt in doubts.items() if not doubt <= _SURE), key=lambda key: -doubts[key])
