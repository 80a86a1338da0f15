"""One injected fault: deploy, strike, look, deploy again; and what the board served meanwhile."""

import random
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from device_tests.faults.bundles import make_variant
from device_tests.faults.rig import Rig
from device_tests.faults.strike import STRIKES, heal
from toolkit.devices import Home
from toolkit.devices.releases.inventory import damaged, read_releases

CHECKOUT = Path(__file__).parents[2]
BALLAST_BYTES = 600_000
CHUNK_BYTES = 200_000
_TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Outcome:
    """`serves` is `old`, `new` or what else; `repaired_itself` says whether the next deployment succeeded unaided."""

    transport: str
    fault: str
    moment: str
    struck: str
    deployer_status: int
    deployer_said: str
    serves: str
    repaired_itself: bool
    said_again: str
    seconds: float

    @property
    def torn(self) -> bool:
        """Whether the board served something that is neither release, or not whole."""
        return self.serves not in ("old", "new")


def deploy(rig: Rig, transport: str, bundle: Path, stop_at: str = "") -> subprocess.Popen[str]:
    """Start a deployer."""
    arguments = [rig.targets[transport].model_dump_json(), str(bundle), str(CHUNK_BYTES), stop_at]
    return subprocess.Popen(
        [sys.executable, "-m", "device_tests.faults.deployer", *arguments],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def inject(rig: Rig, base: Path, transport: str, fault: str, moment: str, seed: int) -> Outcome:
    """`moment` is a stage boundary (`deployer.MOMENTS`), or `after S s`. The board serves a whole release before."""
    chance = random.Random(seed)
    started = time.monotonic()
    with rig.look() as home:
        old = read_releases(home).current
    bundle = rig.folder / "bundles" / f"{time.monotonic_ns()}"
    new = make_variant(base, bundle, BALLAST_BYTES if transport != "serial" else CHUNK_BYTES)
    boundary = "" if moment.startswith("after") else moment
    deployer = deploy(rig, transport, bundle, boundary)
    struck = _strike(rig, transport, fault, moment, deployer, new, chance)
    status, said = _end(deployer)
    rig.boot()  # if the fault switched it off
    with rig.look() as home:
        serves = _serves(home, old, new)
        heal(home)
    again_status, said_again = _end(deploy(rig, transport, bundle))
    with rig.look() as home:
        repaired = again_status == 0 and _serves(home, None, new) == "new"
    return Outcome(
        transport,
        fault,
        moment,
        struck,
        status,
        said,
        serves,
        repaired,
        said_again,
        round(time.monotonic() - started, 1),
    )


def _strike(
    rig: Rig,
    transport: str,
    fault: str,
    moment: str,
    deployer: subprocess.Popen[str],
    digest: str,
    chance: random.Random,
) -> str:
    assert deployer.stdout
    assert deployer.stdin
    if moment.startswith("after"):
        time.sleep(float(moment.split()[1]))
        return STRIKES[fault](rig, transport, deployer, digest)
    for line in deployer.stdout:
        if line.strip() == moment:
            if fault == "agent":  # let it go on, so that the agent runs when the blow falls
                deployer.stdin.write("\n")
                deployer.stdin.flush()
                time.sleep(chance.uniform(0, 1))
            return STRIKES[fault](rig, transport, deployer, digest)
    return "ended before"


def _end(deployer: subprocess.Popen[str]) -> tuple[int, str]:
    """Let it go on, and wait for its end; a deployer that never ends is killed and says so."""
    watchdog = threading.Timer(_TIMEOUT_S, deployer.kill)
    watchdog.start()
    try:
        _, error = deployer.communicate("\n" * 20 if deployer.poll() is None else None)
    finally:
        watchdog.cancel()
    return deployer.returncode, (error.strip().splitlines() or [""])[-1]


def _serves(home: Home, old: str | None, new: str) -> str:
    """What the board serves, every digest read on it."""
    found = read_releases(home)
    wrong = damaged(home, found, [str(found.current)])
    return f"damaged {wrong}" if wrong else {old: "old", new: "new"}.get(found.current, f"unknown {found.current}")
