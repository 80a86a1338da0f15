"""Time the layers of a model, dense and at candidate ranks, in the runtime to be deployed: as many as it takes."""

import time
from collections.abc import Callable
from pathlib import Path

from toolkit.devices import Agent
from toolkit.profiling.active import necessary, spread, unsure
from toolkit.profiling.profile import Profile
from toolkit.profiling.profile_file import save_profile
from toolkit.profiling.steady import time_steadily
from toolkit.profiling.time_programs import layer_timing
from toolkit.profiling.variants import Variants, export_variants
from toolkit.runtimes import Runtime

_BATCH = 16
# The first batch where time is short: it teaches how long one program takes.
_TRIAL = 4


def profile_layers(
    agent: Agent,
    runtime: Runtime,
    variants: Variants,
    profile: Profile,
    path: Path,
    on_progress: Callable[[int, int], None],
    *,
    budget_s: float | None = None,
    on_note: Callable[[str], None] = lambda text: None,
    on_moment: Callable[[str], None] = lambda text: None,
) -> Profile:
    """The profile with what it takes to know every variant: a spread over each layer, then what is hard to predict.

    Stops when all are sure or `budget_s` is spent; all layers dense are timed in any case. Only what was not
    measured before is; saved after each batch. `on_note` hears what a result should tell, `on_moment` what passes.
    """
    started = time.monotonic()
    timed = 0
    while True:
        first = [key for key in spread(variants) if key not in profile.rows]
        wanted = first or unsure(variants, profile.rows)
        if budget_s is not None:
            left_s = budget_s - (time.monotonic() - started)
            affordable = int(left_s / (budget_s - left_s) * timed) if timed else _TRIAL
            needed = sum(key in first for key in spread(variants)[: necessary(variants)])
            if wanted and max(needed, affordable) < 1:
                on_note(f"{budget_s:g} s are spent: programs predicted with less certainty: {len(wanted)}")
            wanted = wanted[: max(0, needed, affordable)]
        if not wanted:
            return profile
        batch = wanted[:_BATCH]
        done: set[str] = set()

        def on_row(name: str, done: set[str] = done, before: int = timed, total: int = timed + len(wanted)) -> None:
            if name not in done:  # a disturbed batch is timed again
                done.add(name)
                on_progress(before + len(done), total)

        programs = export_variants(runtime, {key: variants[key] for key in batch})
        found = time_steadily(
            agent,
            runtime,
            profile.threads,
            profile.clock,
            programs,
            layer_timing(profile.clock),
            on_row=on_row,
            on_note=on_moment,
        )
        timed += len(batch)
        profile = profile.with_rows(found.rows, {}, found.batch)
        save_profile(profile, path)
