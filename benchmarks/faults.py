"""Hundreds of injected faults over three transports on an emulated board whose disk outlives power cuts.

    python benchmarks/faults.py            # 204 faults, 52 of them power cuts; 20 races: about an hour
    python benchmarks/faults.py --quick    # one of each over SSH

What was injected before into the same code is not injected again: an interrupted run goes on where it stopped.

Before each fault the board serves a whole release. A new one is deployed and hurt, at a stage boundary or at a random
instant; then the board is booted if need be and read over a connection of its own: it must serve the old or the new
release, every digest right, and the next deployment must succeed unaided. Needs QEMU and the packages that `make lab`
installs.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from record import Figure, write
from rich.console import Console
from rich.progress import Progress

from device_tests.faults.bundles import make_base, make_variant
from device_tests.faults.deployer import MOMENTS
from device_tests.faults.inject import Outcome, deploy, inject
from device_tests.faults.rig import Rig, open_rig
from toolkit.cache import cache_folder, digest
from toolkit.devices.releases.health import read_status

_SEED = 7
# How often, over each transport; half of the first three at each boundary in turn, half at random instants.
_COUNTS = {
    "ssh": {"power": 28, "connection": 28, "deployer": 22, "agent": 8, "disk full": 10, "flipped bit": 14},
    "adb": {"power": 18, "connection": 18, "deployer": 14, "agent": 8, "disk full": 8, "flipped bit": 8},
    "serial": {"power": 6, "connection": 6, "deployer": 4, "agent": 1, "disk full": 1, "flipped bit": 2},
}
_ALSO_AT_RANDOM = ("power", "connection", "deployer")
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
    with tempfile.TemporaryDirectory() as folder, Progress(console=console) as progress:
        base = Path(folder, "base")
        make_base(base)
        # Two boards, one a core; SSH is the first to carry the runner to each.
        shares: list[tuple[str, ...]] = [("ssh",)] if quick else [("ssh",), ("adb", "serial")]
        boards = [(Path(folder, str(index)), base, share, quick, progress) for index, share in enumerate(shares)]
        with ThreadPoolExecutor(len(boards)) as pool:
            outcomes = [outcome for made in pool.map(lambda board: _board(*board), boards) for outcome in made]
        with open_rig(Path(folder, "0")) as rig:
            races = [_race(rig, base, index) for index in range(2 if quick else _RACES)]
    _write("faults-quick" if quick else "faults", outcomes, races, started)


def _board(folder: Path, base: Path, transports: tuple[str, ...], quick: bool, progress: Progress) -> list[Outcome]:
    """All faults over those transports, on one board."""
    folder.mkdir()
    kept = _kept_rows(transports, quick)
    outcomes = [Outcome(**json.loads(line)) for line in kept.read_text().splitlines()] if kept.exists() else []
    with open_rig(folder) as rig:
        _time_clean(rig, base, "ssh")
        plan = [step for transport in transports for step in _plan(transport, _time_clean(rig, base, transport), quick)]
        task = progress.add_task(" and ".join(transports), total=len(plan), completed=len(outcomes))
        for index, (transport, fault, moment) in enumerate(plan[len(outcomes) :], len(outcomes)):
            outcome = inject(rig, base, transport, fault, moment, seed=_SEED + index)
            outcomes.append(outcome)
            with kept.open("a") as file:
                file.write(json.dumps(asdict(outcome)) + "\n")
            progress.advance(task)
            if outcome.torn or not outcome.repaired_itself:
                progress.console.print(asdict(outcome))
    return outcomes


def _kept_rows(transports: tuple[str, ...], quick: bool) -> Path:
    """Where the rows of an unfinished run are kept, by the code that they tell of."""
    root = Path(__file__).parents[1]
    sources = [
        path
        for folder in ("toolkit/devices", "edge_runtime", "device_tests")
        for path in sorted((root / folder).rglob("*.[pch]*"))
    ]
    key = digest(
        *(path.read_bytes() for path in sources if path.suffix in (".py", ".h", ".cpp", ".hpp")), transports, quick
    )
    folder = cache_folder() / "benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"faults-{key[:16]}.jsonl"


def _plan(transport: str, whole_s: float, quick: bool) -> list[tuple[str, str, str]]:
    """(transport, fault, moment) of each fault; `whole_s` is how long an undisturbed deployment takes."""
    chance = random.Random(_SEED)
    plan = []
    for fault, count in _COUNTS[transport].items():
        at_random = 0 if quick or fault not in _ALSO_AT_RANDOM else count // 2
        moments = _MOMENTS.get(fault, MOMENTS)
        plan += [(transport, fault, moments[i % len(moments)]) for i in range(1 if quick else count - at_random)]
        plan += [(transport, fault, f"after {chance.uniform(0.5, whole_s):.2f} s") for _ in range(at_random)]
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
    named = sum("is at work on it" in race["loser_said"] for race in races)
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
