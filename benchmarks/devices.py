"""What a transport costs: pushes against the plain tool on the same link, and what a resumed push sends.

    python benchmarks/devices.py            # 50 MB over SSH and over adb, three rounds
    python benchmarks/devices.py --quick    # 8 MB, one round

Runs against the emulated board (`deploy lab up emulated-pi`), whose network is QEMU's. Each push is compared with the
plain tool's in the same run, in turns; ratios are of medians. Ours includes joining the pieces and checking the digest.
"""

import argparse
import hashlib
import os
import statistics
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from record import Figure, write

from toolkit import lab
from toolkit.devices import Home, connect, open_home
from toolkit.devices.releases.transfer import forget, send
from toolkit.errors import BoardError
from toolkit.targets import Target, load_target

_ROUNDS = 3
_ROOT = "/root/of benchmarks"
_NAMES = {"ssh": "emulated-pi", "adb": "emulated-android", "serial": "emulated-console"}


def main() -> None:
    """Measure, print, write results/devices.json (or devices-quick.json)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="smaller files, one round")
    quick = parser.parse_args().quick
    started = time.monotonic()
    size, rounds = (8_000_000, 1) if quick else (50_000_000, _ROUNDS)
    board = lab.up(_NAMES["ssh"], on_step=print)
    figures: dict[str, Figure] = {}
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "incompressible")
        for transport in ("ssh", "adb"):
            target = load_target(_NAMES[transport]).model_copy(update={"root": _ROOT})
            device = connect(target)
            home = open_home(device, target)
            plain = {"ssh": _sftp, "adb": _adb}[transport]
            ratio, made = _against(
                home, lambda plain=plain, target=target: plain(target, board, file), file, size, rounds
            )
            rows += [{"transport": transport, **row} for row in made]
            figures[f"{transport}_push_ratio"] = Figure(
                ratio, ">= 0.8", ratio >= 0.8, f"{size / 1e6:.0f} MB, rate over the plain tool's, median of {rounds}"
            )
            extra, chunk = _resumed(home, file, size)
            figures[f"{transport}_resumed_extra_bytes"] = Figure(
                extra,
                f"<= one piece ({chunk})",
                extra <= chunk,
                "sent beyond the remainder after a push broken half-way",
            )
            device.run(f"rm -rf '{_ROOT}'")
            device.close()
    write("devices-quick" if quick else "devices", figures, rows, seeds=[], started=started)


def _against(home: Home, plain: Any, file: Path, size: int, rounds: int) -> tuple[float, list[dict[str, Any]]]:
    """Our rate over the plain tool's."""
    rows = []
    for index in range(rounds):
        file.write_bytes(os.urandom(size))
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        at = time.monotonic()
        plain()
        plain_s = time.monotonic() - at
        at = time.monotonic()
        send(home, {digest: file})
        ours_s = time.monotonic() - at
        forget(home, [digest])
        rows.append({"round": index, "bytes": size, "plain_s": plain_s, "ours_s": ours_s})
    return statistics.median(r["plain_s"] for r in rows) / statistics.median(r["ours_s"] for r in rows), rows


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
    serial = str(target.connection.serial)
    subprocess.run(["adb", "connect", serial], check=True, capture_output=True)
    subprocess.run(["adb", "-s", serial, "push", str(file), "/root/plain"], check=True, capture_output=True)
    subprocess.run(["adb", "-s", serial, "shell", "rm /root/plain"], check=True, capture_output=True)


if __name__ == "__main__":
    main()
