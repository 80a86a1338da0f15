"""One regression test: compare with the baseline, or make it; record the figures; fail, warn or skip."""

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from toolkit.errors import BadInput, BoardError
from toolkit.testing.baselines import baseline_path, others, read_baseline, write_baseline
from toolkit.testing.compare import compare
from toolkit.testing.openmetrics import Regression
from toolkit.testing.options import WRITTEN
from toolkit.testing.samples import Samples
from toolkit.testing.words import disturbed, faster, missing, slower


def regress(
    name: str,
    now: Samples,
    folder: Path,
    *,
    update: bool,
    done: list[Regression],
    record: Callable[[str, object], None],
) -> None:
    """Fail if `now` is slower than the baseline of that name in `folder`; `update` makes it the baseline instead.

    `record` takes JUnit properties; `done` grows by one. Raises BadInput for a name used before or a bad
    baseline, BoardError for an update from an instruction count that others' instructions are in.
    """
    path = baseline_path(folder, name, now)
    if any(each.name == name and each.now.runtime == now.runtime for each in done):
        raise BadInput(f"there are two regressions '{name}' of {now.runtime}", next="Give each a name of its own.")
    record(f"{name}.latency_ms", now.median_ms)
    if now.disturbed:
        warnings.warn(disturbed(name, now), stacklevel=3)
    if update:
        if now.disturbed and now.clock == "instructions":  # no reference was slowed with it: it would hide a slowdown
            raise BoardError(disturbed(name, now), where=str(path), next="The baseline stays as it was.")
        write_baseline(path, name, now)
        record(f"{name}{WRITTEN}", str(path))
    if not path.exists():
        done.append(Regression(name, now, None, None))
        # Not a failure where a board is required either: a kernel update makes another board of it.
        pytest.skip(missing(name, now, others(path, name), path))
    baseline = read_baseline(path)
    found = compare(now, baseline.samples)
    done.append(Regression(name, now, baseline.samples, found))
    record(f"{name}.baseline_ms", baseline.samples.median_ms)
    record(f"{name}.ratio", 1 + found.change)
    if found.verdict == "slower":
        pytest.fail(slower(baseline, now, found), pytrace=False)
    if found.verdict == "faster":
        warnings.warn(faster(baseline, now, found), stacklevel=3)
