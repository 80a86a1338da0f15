"""The QEMU process that is a board: starting it, and recognising it again.

The process table is the truth. A pidfile counts only while the process it names is the QEMU that was started
with that very pidfile, and the ports are read from its command line: nothing goes stale, however a board ended.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

from toolkit.errors import BoardError
from toolkit.lab import initrd
from toolkit.lab.board import CONSOLE_LOG, HOST_KEY, IDENTITY, INITRD, PIDFILE, SCRATCH, Board, Machine
from toolkit.lab.disk import ensure_kept_disk
from toolkit.lab.image import Image
from toolkit.lab.keys import read_password, shadow_file
from toolkit.lab.ports import Ports

RAM_MIB = 1024
AS_NEW = "snapshot=on"  # the disk, at every power-on
# Where a running QEMU's command line says its CPU and its ports
_SSH = r"hostfwd=tcp:127\.0\.0\.1:(\d+)-:22\b"
_CONSOLE = r"id=console,host=127\.0\.0\.1,port=(\d+),"
_CPU = r"^-cpu\n(\S+)$"
_ADB = r"hostfwd=tcp:127\.0\.0\.1:(\d+)-:5555\b"
CLOCK = "shift=1"  # the board's clock advances 2^1 ns an instruction: its latencies repeat to under 1 %


def start(machine: Machine, image: Image, ports: Ports) -> Board:
    """Power on a machine whose keys are in its folder. Raises BoardError with QEMU's own words if it cannot."""
    folder = machine.folder
    (folder / INITRD).write_bytes(image.initrd.read_bytes() + _own_files(machine.name, folder))
    shutil.rmtree(folder / SCRATCH, ignore_errors=True)
    (folder / SCRATCH).mkdir()
    done = subprocess.run(
        _command(machine, image, ports),
        env={
            **os.environ,
            "TMPDIR": str(folder / SCRATCH),
        },  # where QEMU keeps what the board writes to a disk that is not kept
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    board = read_board(machine.name, folder)
    if done.returncode != 0 or board is None:
        said = done.stderr.strip().splitlines()[-1:] or [f"it ended with status {done.returncode}"]
        raise BoardError(f"QEMU did not start: {said[0]}", where=machine.name)
    return board


def read_board(name: str, folder: Path) -> Board | None:
    """The board that runs with this folder's pidfile, if one does."""
    pidfile = folder / PIDFILE
    try:
        pid = int(pidfile.read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except (OSError, ValueError):
        return None
    said = [re.search(pattern, "\n".join(command), re.MULTILINE) for pattern in (_SSH, _CONSOLE, _ADB, _CPU)]
    ssh, console, adb, cpu = (found[1] if found else None for found in said)
    if str(pidfile) not in command or ssh is None or console is None or adb is None or cpu is None:
        return None  # the system has given the number to another program since
    keeps_disk = not any(argument.endswith(AS_NEW) for argument in command)
    return Board(name, pid, int(ssh), int(console), int(adb), folder, keeps_disk, cpu)


def _own_files(name: str, folder: Path) -> bytes:
    """What makes this board this one: a second archive behind the cached initial RAM disk."""
    own = {
        "etc/hostname": f"{name}\n".encode(),
        "etc/hosts": f"127.0.0.1 localhost {name}\n".encode(),
        f"etc/ssh/{HOST_KEY}": (folder / HOST_KEY).read_bytes(),
        "etc/shadow": shadow_file(read_password(folder)).encode(),
        "root/.ssh/authorized_keys": (folder / f"{IDENTITY}.pub").read_bytes(),
    }
    return initrd.archive([], {f"board/{path}": (initrd.PRIVATE, content) for path, content in own.items()})


def _command(machine: Machine, image: Image, ports: Ports) -> list[str]:
    folder = machine.folder
    console = f"host=127.0.0.1,port={ports.console},server=on,wait=off,logfile={folder / CONSOLE_LOG}"
    forwards = f"hostfwd=tcp:127.0.0.1:{ports.ssh}-:22,hostfwd=tcp:127.0.0.1:{ports.adb}-:5555"
    if machine.keep_disk:
        # writeback: what the board flushes has reached the overlay; what it has not may die with this process
        disk = f"format=qcow2,cache=writeback,file={ensure_kept_disk(folder, image.disk)}"
    else:
        disk = f"format=raw,file={image.disk},{AS_NEW}"
    return [
        "qemu-system-aarch64",
        *("-name", machine.name),
        *("-machine", "virt,gic-version=2", "-cpu", machine.cpu, "-smp", "1", "-m", str(RAM_MIB)),
        *("-icount", CLOCK),
        *("-nodefaults", "-display", "none", "-monitor", "none"),
        *("-kernel", str(image.kernel), "-initrd", str(folder / INITRD)),
        *("-append", "console=ttyAMA0 quiet mitigations=off"),
        *("-drive", f"if=none,id=disk,{disk}"),
        *("-device", "virtio-blk-device,drive=disk"),
        # restrict: the board reaches nobody, and is reached through these ports of this machine only
        *("-netdev", f"user,id=net,restrict=on,{forwards}"),
        *("-device", "virtio-net-device,netdev=net", "-device", "virtio-rng-device"),
        *("-chardev", f"socket,id=console,{console}", "-serial", "chardev:console"),
        # QEMU detaches itself once its ports are bound: what goes wrong before that is an exit status to us
        *("-daemonize", "-pidfile", str(folder / PIDFILE)),
    ]
