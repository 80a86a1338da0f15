"""What a transport costs: pushes against the plain tool on the same link, and what need not travel twice.

    PYTHONPATH=. python benchmarks/devices.py            # 50 MB over SSH and over adb, and two deployments: ten minutes
    PYTHONPATH=. python benchmarks/devices.py --quick    # 8 MB, one round, no deployment

Runs against an emulated board of its own, whose network is QEMU's. Each push is compared with the plain tool's in the
same run, in turns; ratios are of medians. A push is the transport's own verb; a transfer is what releases do: pieces
that outlive a broken line, joined on the board, and the digest checked there. The emulated core takes 0.9 s for 50 MB
of SHA-256, which over adb is nearly as long as the push itself.
"""

import argparse
import hashlib
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from record import Figure, write

from benchmarks.own_board import own_machine
from tests.relay import relay_to
from toolkit import lab, pipeline
from toolkit.devices import Home, connect, open_home
from toolkit.devices.releases.transfer import forget, send
from toolkit.errors import BoardError
from toolkit.progress import Silent
from toolkit.request import Overrides, Request
from toolkit.targets import AdbPlace, Target

_ROUNDS = 3
_ROOT = "/root/of benchmarks"
_NAMES = {"ssh": "emulated-pi", "adb": "emulated-android"}
_SECOND_GOAL = 100_000


def main() -> None:
    """Measure, print, write results/devices.json (or devices-quick.json)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="smaller files, one round, no deployment")
    quick = parser.parse_args().quick
    started = time.monotonic()
    size, rounds = (8_000_000, 1) if quick else (50_000_000, _ROUNDS)
    figures: dict[str, Figure] = {}
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder, own_machine() as board:
        for transport, name in _NAMES.items():
            target = lab.target_on(board, name).model_copy(update={"root": _ROOT})
            found, made = _pushes(transport, target, board, Path(folder, "incompressible"), size, rounds)
            figures |= found
            rows += made
        if not quick:
            found, made = _second_deployment(board, Path(folder))
            figures |= found
            rows += made
    write("devices-quick" if quick else "devices", figures, rows, seeds=[], started=started)


def _pushes(
    transport: str, target: Target, board: lab.Board, file: Path, size: int, rounds: int
) -> tuple[dict[str, Figure], list[dict[str, Any]]]:
    """Against the plain tool, and after an interruption."""
    device = connect(target)
    home = open_home(device, target)
    plain = {"ssh": _sftp, "adb": _adb}[transport]
    rows = _against(home, lambda: plain(target, board, file), file, size, rounds)
    how = f"{size / 1e6:.0f} MB, rate over the plain tool's, medians of {rounds}"
    times = {key: statistics.median(row[key] for row in rows) for key in ("plain_s", "push_s", "transfer_s")}
    push, transfer = times["plain_s"] / times["push_s"], times["plain_s"] / times["transfer_s"]
    extra, chunk = _resumed(home, file, size)
    device.run(f"rm -rf '{_ROOT}'")
    device.close()
    sent_beyond = "sent beyond the remainder after a push broken half-way"
    return {
        f"{transport}_push_ratio": Figure(push, ">= 0.8", push >= 0.8, how),
        f"{transport}_transfer_ratio": Figure(
            transfer, ">= 0.8", transfer >= 0.8, f"{how}; in pieces, joined, digest checked on the emulated core"
        ),
        f"{transport}_resumed_extra_bytes": Figure(extra, f"<= one piece ({chunk})", extra <= chunk, sent_beyond),
    }, [{"transport": transport, **row} for row in rows]


def _against(home: Home, plain: Callable[[], None], file: Path, size: int, rounds: int) -> list[dict[str, Any]]:
    """Seconds of the plain tool, of the transport's push, of a release's transfer, in turns."""
    rows = []
    there = home.at("pushed")

    def seconds(work: Callable[[], object]) -> float:
        at = time.monotonic()
        work()
        return time.monotonic() - at

    for index in range(rounds):
        file.write_bytes(os.urandom(size))
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        row = {
            "plain_s": seconds(plain),
            "push_s": seconds(lambda: home.device.push(file, there)),
            "transfer_s": seconds(lambda digest=digest: send(home, {digest: file})),
        }
        home.device.run(f"rm -f '{there}'")
        forget(home, [digest])
        rows.append({"round": index, "bytes": size, **row})
    return rows


def _second_deployment(board: lab.Board, folder: Path) -> tuple[dict[str, Figure], list[dict[str, Any]]]:
    """Bytes on the line, both ways, of two deployments of the bundled example with the native runner over adb."""
    rows = []
    with relay_to(board.adb_port) as relay:
        target = lab.target_on(board, _NAMES["adb"])
        target = target.model_copy(update={"root": _ROOT, "place": AdbPlace(serial=f"127.0.0.1:{relay.port}")})
        request = Request(runtime="executorch", recovery_steps=100, adapt_steps=3)
        for index in range(2):
            before, at = relay.passed, time.monotonic()
            result = pipeline.deploy(request, target, Overrides(), Silent(), folder / f"run-{index}")
            row = {"deployment": index + 1, "active": result.active, "bytes": relay.passed - before}
            rows.append(row | {"seconds": round(time.monotonic() - at, 1)})
    moved, active = rows[1]["bytes"], all(row["active"] for row in rows)
    how = f"all that passed on the adb line, 200 queries to classify included; the first moved {rows[0]['bytes']}"
    return {"second_deployment_bytes": Figure(moved, f"< {_SECOND_GOAL}", active and moved < _SECOND_GOAL, how)}, rows


def _resumed(home: Home, file: Path, size: int) -> tuple[int, int]:
    """Bytes that a push, broken after half of the file, sends beyond what was missing; and the size of a piece."""
    file.write_bytes(os.urandom(size))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    reached = 0

    def break_half_way(done: int, total: int) -> None:
        nonlocal reached
        reached = done
        if done >= total / 2:
            raise BoardError("broken on purpose")

    with suppress(BoardError):
        send(home, {digest: file}, break_half_way)
    sent = send(home, {digest: file})
    forget(home, [digest])
    return sent - (size - reached), home.device.chunk_bytes


def _sftp(target: Target, board: lab.Board, file: Path) -> None:
    command = ["sftp", "-q", "-b", "-", "-i", str(board.identity_file), "-P", str(board.ssh_port)]
    command += ["-o", f"UserKnownHostsFile={board.known_hosts_file}", "root@127.0.0.1"]
    subprocess.run(
        command, input=f"put {file} /root/plain\nrm /root/plain\n", text=True, check=True, capture_output=True
    )


def _adb(target: Target, board: lab.Board, file: Path) -> None:
    assert isinstance(target.place, AdbPlace)
    serial = str(target.place.serial)
    subprocess.run(["adb", "connect", serial], check=True, capture_output=True)
    subprocess.run(["adb", "-s", serial, "push", str(file), "/root/plain"], check=True, capture_output=True)
    subprocess.run(["adb", "-s", serial, "shell", "rm /root/plain"], check=True, capture_output=True)


if __name__ == "__main__":
    main()
