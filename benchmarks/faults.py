"""Hundreds of injected faults over three transports on an emulated board whose disk outlives power cuts.

    python benchmarks/faults.py            # 222 faults, 60 of them power cuts; 20 races: about an hour
    python benchmarks/faults.py --quick    # one of each over SSH

Before each fault the board serves a whole release. A new one is deployed and hurt, at a stage boundary or at a random
instant; then the board is booted if need be and read over a connection of its own: it must serve the old or the new
release, every digest right, and the next deployment must succeed unaided. Needs QEMU and the packages that `make lab`
installs.
"""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from record import Figure, write
from rich.console import Console
from rich.progress import track

from device_tests.faults.bundles import make_base, make_variant
from device_tests.faults.deployer import MOMENTS
from device_tests.faults.inject import Outcome, deploy, inject
from device_tests.faults.rig import Rig, open_rig
from tests.ports import free_ports
from toolkit.devices.health import read_status

_SEED = 7
# How often, over each transport: at each boundary in turn, and at random instants.
_AT_BOUNDARIES = {"power": 12, "connection": 12, "deployer": 10, "agent": 4, "disk full": 4, "flipped bit": 6}
_AT_RANDOM = {"power": 8, "connection": 8, "deployer": 6}
# No byte lies there yet, or what lies there is served already: that is another promise (`deploy status` finds it).
_MOMENTS = {"flipped bit": ("sent", "installed"), "agent": ("installed",), "disk full": MOMENTS[:6]}
_RACES = 20


def main() -> None:
    """Inject, print, write results/faults.json (or faults-quick.json)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one of each fault over SSH, two races")
    quick = parser.parse_args().quick
    started = time.monotonic()
    console = Console(stderr=True, highlight=False)
    with tempfile.TemporaryDirectory() as folder, open_rig(Path(folder), free_ports()) as rig:
        base = rig.folder / "base"
        make_base(base)
        seconds = {}
        for transport in ("ssh",) if quick else rig.targets:  # SSH first: it carries the runner
            seconds[transport] = _time_clean(rig, base, transport)
        outcomes = []
        for index, (transport, fault, moment) in enumerate(track(_plan(seconds, quick), "faults", console=console)):
            outcome = inject(rig, base, transport, fault, moment, seed=_SEED + index)
            outcomes.append(outcome)
            if outcome.torn or not outcome.repaired_itself:
                console.print(asdict(outcome))
        races = [_race(rig, base, index) for index in range(2 if quick else _RACES)]
    _write("faults-quick" if quick else "faults", outcomes, races, started)


def _plan(seconds: dict[str, float], quick: bool) -> list[tuple[str, str, str]]:
    """(transport, fault, moment) of each fault; `seconds` is how long an undisturbed deployment takes."""
    chance = random.Random(_SEED)
    plan = []
    for transport, whole_s in seconds.items():
        for fault, count in _AT_BOUNDARIES.items():
            moments = _MOMENTS.get(fault, MOMENTS)
            plan += [(transport, fault, moments[index % len(moments)]) for index in range(1 if quick else count)]
        for fault, count in _AT_RANDOM.items():
            instants = [chance.uniform(0.5, whole_s) for _ in range(0 if quick else count)]
            plan += [(transport, fault, f"after {instant:.2f} s") for instant in instants]
    chance.shuffle(plan)
    return plan


def _time_clean(rig: Rig, base: Path, transport: str) -> float:
    seconds = 0.0
    for _ in range(2):  # the first also brings the runner
        bundle = rig.folder / "bundles" / f"{time.monotonic_ns()}"
        make_variant(base, bundle, 100_000)
        started = time.monotonic()
        deployer = deploy(rig, transport, bundle)
        said = deployer.communicate(timeout=900)
        if deployer.returncode != 0:
            sys.exit(f"an undisturbed deployment over {transport} failed: {said}")
        seconds = time.monotonic() - started
    return seconds


def _race(rig: Rig, base: Path, index: int) -> dict[str, Any]:
    """Two deployers of two releases at once."""
    bundles = [rig.folder / "bundles" / f"race-{index}-{side}" for side in (0, 1)]
    digests = [make_variant(base, bundle, 300_000) for bundle in bundles]
    racers = [deploy(rig, "ssh", bundle) for bundle in bundles]
    said = [racer.communicate(timeout=300)[1].strip() for racer in racers]
    statuses = [racer.returncode for racer in racers]
    with rig.look() as home:
        found = read_status(home)
    one_won = sorted(statuses) == [0, 3] and found.current == digests[statuses.index(0)]
    return {
        "race": index,
        "statuses": statuses,
        "loser_said": said[statuses.index(3)] if 3 in statuses else "",
        "one_won": one_won,
        "healthy": found.healthy and not found.damaged,
    }


def _write(name: str, outcomes: list[Outcome], races: list[dict[str, Any]], started: float) -> None:
    torn = sum(outcome.torn for outcome in outcomes)
    manual = sum(not outcome.repaired_itself for outcome in outcomes)
    cuts = sum(outcome.fault == "power" for outcome in outcomes)
    by = Counter((outcome.transport, outcome.fault) for outcome in outcomes)
    how = "emulated arm64 board (QEMU, qcow2 disk kept): " + ", ".join(
        f"{t} {f} {n}" for (t, f), n in sorted(by.items())
    )
    named = sum("deploying to it" in race["loser_said"] for race in races)
    won = sum(race["one_won"] for race in races)
    figures = {
        "faults": Figure(len(outcomes), ">= 200", len(outcomes) >= 200, how),
        "power_cuts": Figure(cuts, ">= 50", cuts >= 50, "QEMU killed: what the guest had not flushed is lost"),
        "torn_states": Figure(torn, "0", torn == 0, "neither the old nor the new release, or a digest wrong"),
        "manual_repairs": Figure(manual, "0", manual == 0, "the next deployment did not succeed unaided"),
        "races_one_won": Figure(
            won, f"{len(races)}", won == len(races), "two deployers over SSH at once, one succeeds"
        ),
        "races_loser_named_the_holder": Figure(
            named, f"{len(races)}", named == len(races), "the other says who holds it"
        ),
        "races_corrupt": Figure(
            sum(not race["healthy"] for race in races),
            "0",
            all(race["healthy"] for race in races),
            "digests on the board",
        ),
    }
    write(name, figures, [*map(asdict, outcomes), *races], seeds=[_SEED], started=started)


if __name__ == "__main__":
    main()
