"""Does a release in int8 learn as well as the same allocation in fp32? A voice that a keyword network has never heard.

    PYTHONPATH=. python benchmarks/adapted_int8.py --data ../shared/data    # three speakers, three seeds
    PYTHONPATH=. python benchmarks/adapted_int8.py --data ../shared/data --quick   # one speaker, one seed, few steps

The network of `speaker.py`, trained without one speaker, at 30 % of its parameters: ranks by the exact allocator on the
curve of JACTUS. That allocation is recovered twice as `deploy` does it, in fp32 and, rounded as its program will be, in
int8 with unsigned activations; both bundles then learn the held-out speaker from five examples a digit, by the agent
itself on this machine: cores in fp32, folded and quantised again. Judged on all other recordings of that speaker.
"""

import argparse
import os
import statistics
import time
from dataclasses import replace
from functools import partial
from typing import Any

from record import Figure, write

from benchmarks.models import speech
from benchmarks.models.data import VARIABLE
from benchmarks.speaker import on_the_board, parameters
from toolkit.adaptation import task_head
from toolkit.choice import DENSE, Selection, all_dense
from toolkit.compression import ALLOCATORS, Limits, compress
from toolkit.distillation import augment_for, recover
from toolkit.progress import Silent
from toolkit.request import USUAL_RECOVERY_STEPS, Request
from toolkit.runtimes.arithmetic import Arithmetic, Quantisation
from toolkit.stages import Watch, load
from toolkit.stages.compress import SUPPORT_SHARE
from toolkit.stages.load import Job
from toolkit.stages.quantise import computing_as, quantisation_of
from toolkit.stages.variations import usual_variations
from toolkit.stages.worth import weigh
from toolkit.targets import load_target

_SPEAKERS, _SEEDS = speech.SPEAKERS[:3], (60, 61, 62)
_SHARE = 0.30
_INT8 = Arithmetic("int8", "unsigned")
_MOST_LOST = 0.01

# Factories that the toolkit loads by name.
for _speaker in _SPEAKERS:
    globals()[f"model_without_{_speaker}"] = partial(speech.model, speaker=_speaker)
    globals()[f"task_of_{_speaker}"] = partial(speech.task, speaker=_speaker)


def main() -> None:
    """Run, print, write results/adapted_int8.json (or adapted_int8-quick.json)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder of the spoken digits")
    parser.add_argument("--quick", action="store_true", help="one speaker, one seed, ten steps of recovery")
    arguments = parser.parse_args()
    if arguments.data:
        os.environ[VARIABLE] = arguments.data
    quick, started = arguments.quick, time.monotonic()
    speakers, seeds = (_SPEAKERS[:1], _SEEDS[:1]) if quick else (_SPEAKERS, _SEEDS)
    steps = 10 if quick else USUAL_RECOVERY_STEPS
    rows = [row for speaker in speakers for seed in seeds for row in _rows(speaker, seed, steps)]
    of = {form: [row for row in rows if row["precision"] == form] for form in ("fp32", "int8")}
    gained = {
        key: [ours[key] - theirs[key] for ours, theirs in zip(of["int8"], of["fp32"], strict=True)]
        for key in ("installed", "adapted")
    }
    how = f"mean of {len(gained['adapted'])} runs, {len(speakers)} held-out speaker(s), {steps} steps of recovery"
    mean = statistics.fmean(gained["adapted"])
    figures = {
        "int8_minus_fp32_adapted": Figure(mean, f">= {-_MOST_LOST}", mean >= -_MOST_LOST, how),
        "int8_minus_fp32_adapted_worst": Figure(min(gained["adapted"]), "reported", True, "of the runs"),
        "int8_minus_fp32_installed": Figure(statistics.fmean(gained["installed"]), "reported", True, how),
        "int8_adapted": Figure(statistics.fmean(row["adapted"] for row in of["int8"]), "reported", True, how),
    }
    write("adapted_int8-quick" if quick else "adapted_int8", figures, rows, seeds=list(seeds), started=started)


def _rows(speaker: str, seed: int, steps: int) -> list[dict[str, Any]]:
    """One for each precision; the speaker's examples are drawn by the seed."""
    request = Request(
        f"benchmarks.adapted_int8:model_without_{speaker}",
        f"benchmarks.adapted_int8:task_of_{speaker}",
        seed=seed,
        precision="int8",
        channels=False,
        depth=False,
        recovery_steps=steps,
    )
    job = load(request, load_target("host"), Watch(Silent()), offline=True)
    costs = parameters(job.layers)
    choices = {name: tuple(choice for choice in row if choice != DENSE) for name, row in costs.parts.items()}
    worth = weigh(job, choices, request.curve, seed, Watch(Silent()))
    most = int(_SHARE * costs.size_bytes(all_dense(job.layers)))
    chosen = ALLOCATORS["exact"](worth.gains, costs, Limits(size_bytes=most)).selection
    rounded = {name: replace(each, precision="int8") for name, each in chosen.items()}
    fixed = {name: replace(DENSE, precision="int8") for name in job.fixed}
    rows = []
    for form, quantisation in (("fp32", None), ("int8", quantisation_of(job, {**rounded, **fixed}, {"int8": _INT8}))):
        row = {
            "speaker": speaker,
            "seed": seed,
            "precision": form,
            **_learned(job, request, worth.parts, chosen, quantisation),
        }
        print(row, flush=True)
        rows.append(row)
    return rows


def _learned(
    job: Job, request: Request, parts: Any, chosen: Selection, quantisation: Quantisation | None
) -> dict[str, Any]:
    """Recovered as `deploy` does it, and then adapted as a board does."""
    general = job.task.general
    assert general is not None
    backbone = compress(job.network.backbone, parts, chosen)
    started = time.monotonic()
    recover(
        backbone,
        job.network.backbone,
        job.general_logits,
        general,
        support=job.task.support,
        support_share=SUPPORT_SHARE[job.start],
        recipe=request.distill,
        augment=augment_for(usual_variations(job), general.x),
        steps=request.recovery_steps,
        learning_rate=request.recovery_rate,
        seed=request.seed,
        on_progress=lambda done, of: None,
        quantised=quantisation,
    )
    backbone.requires_grad_(False).eval()
    with computing_as(backbone, quantisation):
        head = task_head(job.start, job.network, backbone, job.task)
    before, after, said = on_the_board(backbone, head, job.start, job.task, request.seed, quantisation)
    minutes = (time.monotonic() - started) / 60
    return {"start": job.start, "installed": before, "adapted": after, "accepted": said["accepted"], "minutes": minutes}


if __name__ == "__main__":
    main()
