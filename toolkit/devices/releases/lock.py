"""One deployer at a time: a symlink on the board whose text says who holds it.

Making a symlink is atomic and carries its text with it, so a lock is never half taken. Every step that changes what the
board holds first checks that the lock is still ours (`Home.guard`): a deployer that was thought dead and lost its lock
can do no harm. A lock is dead when its process is gone (seen from the same machine), or when the lease it renewed with
every step has run out or belongs to an earlier boot (seen from another). Board clocks may be in 1970 or jump: leases
are counted in uptime.
"""

import getpass
import os
import secrets
import shlex
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from toolkit.devices.device import check
from toolkit.devices.home import Home
from toolkit.errors import BoardError

LEASE_S = 3900  # longer than the longest single step, which is training on the board
# Tokens of the locks that this process holds: one that it lost with a connection is not among them any more.
_HELD: set[str] = set()
_CLOCK = (
    "B=$(cat /proc/sys/kernel/random/boot_id 2>/dev/null || echo -); "
    "U=$(cut -d. -f1 /proc/uptime 2>/dev/null || echo 0)"
)
# What a run that was cut off left behind.
_SWEEP = "rm -rf work/* lease.[0-9]*; find incoming agent work -name '.*.part' -exec rm -f {} +"


@dataclass(frozen=True)
class Holder:
    """Who holds a board. `age_s` is None if the board was started anew since."""

    text: str
    user: str
    host: str
    pid: int
    age_s: int | None
    is_dead: bool

    def __str__(self) -> str:
        since = "since before it was started anew" if self.age_s is None else f"for {self.age_s} s"
        return f"{self.user}@{self.host} (process {self.pid}) {since}"


@contextmanager
def locked(home: Home) -> Iterator[Home]:
    """The same home, held by this process alone; its lock is given back at the end. Raises BoardError if it is held."""
    token = secrets.token_hex(8)
    mine = f"{token}|{_me()}"
    # A full disk must not read as a lost lock.
    write = f'echo "$B $U $((U + {LEASE_S}))" >lease.$$ && mv -f lease.$$ lease || {{ rm -f lease.$$; false; }}'
    renew = f"{{ {_CLOCK}; {write}; }} 2>/dev/null || :"
    for _ in range(2):
        # The start is part of the text, so that the age can be told whoever renews the lease.
        taken = home.run(
            f'{_CLOCK}; ln -sn {shlex.quote(mine)}"|$B|$U" lock && {{ {renew}; {_SWEEP}; }}', timeout_s=300
        )
        if taken.status == 0:
            break
        found = holder(home)
        if found is None:
            check(taken, "taking the lock", home.where)  # not held: the disk is full or read-only
        elif found.is_dead:
            _take_away(home, found)
        else:
            raise BoardError(
                f"another deployment is at work on it, in {home.root}: {found}",
                where=home.where,
                next=f"Wait until that ends; if you know that it is dead: `deploy unlock --target {home.where}`.",
            )
    else:
        raise BoardError("another deployer was faster", where=home.where, next="Run again when it has ended.")
    is_mine = f'case "$(readlink lock)" in {shlex.quote(mine)}*) ;; *) false;; esac'
    guard = (
        f"{{ {is_mine} && {{ {renew}; }} || {{ echo 'another deployer took the lock of this board' >&2; exit 75; }}; }}"
    )
    _HELD.add(token)
    try:
        yield replace(home, guard=guard)
    finally:
        _HELD.discard(token)
        with suppress(BoardError):  # a lost connection has its own error; the next deployer finds a dead lock
            home.run(f"{is_mine} && rm -f lock lease")


def holder(home: Home) -> Holder | None:
    """Who holds the board now."""
    # A line each, come what may: a power cut leaves the lease empty, and whatever has the lock's name is a lock.
    text = 'if [ -L lock ] || [ -e lock ]; then echo "$(readlink lock)"; else echo -; fi'
    script = f'{_CLOCK}; echo "$B"; echo "$U"; {text}; echo "$(cat lease 2>/dev/null)"'
    said = check(home.ask(script), "reading the lock", home.where).stdout.decode(errors="replace")
    lines = said.split("\n")
    if len(lines) < 5:
        raise BoardError("does not say who holds it", where=home.where, next="Run again.")
    if lines[2] == "-":
        return None
    return parse_holder(lines[2], boot=lines[0], uptime_s=_number(lines[1]), lease=lines[3])


def parse_holder(text: str, *, boot: str, uptime_s: int, lease: str) -> Holder:
    """From the lock's text, the board's present boot and uptime, and the lease `boot start until`; never raises.

    A lock that says nothing sensible is dead: no version of this toolkit made it.
    """
    fields = text.split("|")
    if len(fields) != 7:
        return Holder(text, "someone", "unknown", 0, None, True)
    token, user, host, pid, start, taken_boot, taken_s = fields
    same_boot = taken_boot == boot
    leased = lease.split()
    lease_holds = same_boot and len(leased) == 3 and leased[0] == boot and uptime_s <= _number(leased[2])
    here = host == _host()
    ours = _number(pid) == os.getpid()
    alive = (token in _HELD if ours else _start_of(_number(pid)) == start) if here else lease_holds
    return Holder(text, user, host, _number(pid), uptime_s - _number(taken_s) if same_boot else None, not alive)


def unlock(home: Home) -> Holder | None:
    """Take the lock from whoever holds it; returns who that was."""
    found = holder(home)
    if found:
        _take_away(home, found)
    return found


def _take_away(home: Home, dead: Holder) -> None:
    """Remove exactly that lock: one that another taker made meanwhile is put back."""
    aside = f"lock.{secrets.token_hex(4)}"
    script = (
        f"mv lock {aside} || exit 0; "
        f'[ "$(readlink {aside})" = {shlex.quote(dead.text)} ] || ln -sn "$(readlink {aside})" lock; rm -f {aside}'
    )
    check(home.run(script), "taking over a dead lock", home.where)


def _me() -> str:
    return "|".join((getpass.getuser(), _host(), str(os.getpid()), _start_of(os.getpid())))


def _host() -> str:
    # The boot tells apart two machines of one name, and a process number from before a restart from one after it.
    boot = Path("/proc/sys/kernel/random/boot_id")
    return f"{socket.gethostname()}/{boot.read_text()[:8] if boot.exists() else ''}"


def _start_of(pid: int) -> str:
    """When that process of this machine started (field 22 of proc(5) stat); empty if there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    state, *rest = stat[stat.rindex(")") + 2 :].split()
    return "" if state == "Z" else rest[18]


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and text.isascii() and len(text) < 20 else 0
