"""The ways in which a deployment is hurt."""

import shlex
import subprocess
from collections.abc import Callable

from device_tests.faults.rig import ROOT, Rig
from toolkit import lab
from toolkit.devices import Home

_FILLER = "/root/filler"
# By the program, not by its name: shells bear the name in their commands, and adbd has a loader of its own, too.
_KILL_RUNNER = """for process in /proc/[0-9]*; do
  case "$(readlink $process/exe)" in */runner/*/ld-linux*) kill -9 ${process#/proc/} && echo killed;; esac
done"""
_FLIP = """
import os, random, sys
root, digest = sys.argv[1:]
folders = [os.path.join(root, "incoming"), os.path.join(root, "work"), os.path.join(root, "releases", digest)]
files = [os.path.join(at, name) for folder in folders for at, _, names in os.walk(folder) for name in names]
files = [path for path in files if os.path.getsize(path)]
if not files:
    sys.exit("nothing to damage")
path = random.choice(files)
with open(path, "r+b") as file:
    place = random.randrange(os.path.getsize(path))
    file.seek(place)
    byte = file.read(1)[0]
    file.seek(place)
    file.write(bytes([byte ^ (1 << random.randrange(8))]))
print(path)
"""


def cut_connection(rig: Rig, transport: str, deployer: subprocess.Popen[str], digest: str) -> str:
    """The cable between host and board."""
    rig.relays[transport].cut()
    rig.relays[transport].mend()
    return "cut"


def kill_deployer(rig: Rig, transport: str, deployer: subprocess.Popen[str], digest: str) -> str:
    """The host's process, without a chance to tidy up."""
    deployer.kill()
    return "killed"


def kill_agent(rig: Rig, transport: str, deployer: subprocess.Popen[str], digest: str) -> str:
    """The runner on the board, if it runs at this instant."""
    with rig.look() as home:
        done = home.device.run(_KILL_RUNNER)
    return "killed" if done.stdout else "no agent ran"


def fill_disk(rig: Rig, transport: str, deployer: subprocess.Popen[str], digest: str) -> str:
    """Every free block of the board's disk but a few; freed again by `heal`."""
    with rig.look() as home:
        free = "$(($(df -Pk / | awk 'END {print $4}') - 16))"
        home.device.run(f"fallocate -l {free}K {_FILLER}; sync", timeout_s=120)
    return "filled"


def flip_byte(rig: Rig, transport: str, deployer: subprocess.Popen[str], digest: str) -> str:
    """One bit of a file that has arrived and is not yet served."""
    with rig.look() as home:
        done = home.device.run(f"python3 -c {shlex.quote(_FLIP)} {shlex.quote(ROOT)} {digest}")
    return done.stdout.decode().strip() or done.stderr.decode().strip()


def cut_power(rig: Rig, transport: str, deployer: subprocess.Popen[str], digest: str) -> str:
    """The board's plug: what had not reached its disk is gone."""
    lab.power_cut(rig.machine)
    return "cut"


def heal(home: Home) -> None:
    """What its owner would do anyway: delete what filled its disk."""
    home.device.run(f"rm -f {_FILLER}; sync")


Strike = Callable[[Rig, str, "subprocess.Popen[str]", str], str]
STRIKES: dict[str, Strike] = {
    "connection": cut_connection,
    "deployer": kill_deployer,
    "agent": kill_agent,
    "disk full": fill_disk,
    "flipped bit": flip_byte,
    "power": cut_power,
}
