"""Two profiles side by side: what became slower, what is only in one, and what else differs."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from toolkit.profiling.measurement import Flag
from toolkit.profiling.profile import Profile


@dataclass(frozen=True)
class RowChange:
    """One row of both; `ratio` is the second's median by the first's, `flags` are those of either."""

    signature: str
    first_ms: float
    second_ms: float
    ratio: float
    flags: tuple[Flag, ...]


@dataclass(frozen=True)
class Difference:
    """`changes` begin with the row that changed most, either way; `facts` are what else differs: (first, second)."""

    changes: tuple[RowChange, ...]
    only_in_first: tuple[str, ...]
    only_in_second: tuple[str, ...]
    facts: dict[str, tuple[Any, Any]]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def compare_profiles(first: Profile, second: Profile) -> Difference:
    """Rows by signature."""
    changes = [
        RowChange(
            key,
            first.rows[key].median_ms,
            second.rows[key].median_ms,
            second.rows[key].median_ms / first.rows[key].median_ms,
            tuple(dict.fromkeys((*first.rows[key].flags, *second.rows[key].flags))),
        )
        for key in first.rows
        if key in second.rows
    ]
    one, other = _facts(first), _facts(second)
    return Difference(
        tuple(sorted(changes, key=lambda each: (-abs(math.log(each.ratio)), each.signature))),
        tuple(key for key in first.rows if key not in second.rows),
        tuple(key for key in second.rows if key not in first.rows),
        {key: (one[key], other[key]) for key in one if one[key] != other[key]},
    )


def _facts(profile: Profile) -> dict[str, Any]:
    names = ("family", "runtime", "runtime_version", "threads", "clock", "toolkit_version")
    return {**{name: getattr(profile, name) for name in names}, **profile.device.model_dump()}
