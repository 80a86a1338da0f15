"""The QEMU process that is a board: starting it, and recognising it again.

The process table is the truth. A pidfile counts only while the process it names is the QEMU that was started
with that very pidfile, and the port is read from its command line: nothing goes stale, however a board ended.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

from toolkit.errors import BoardError
from toolkit.lab import initrd
from toolkit.lab.board import CONSOLE_LOG, HOST_KEY, IDENTITY, INITRD, PIDFILE, SCRATCH, Board
from toolkit.lab.image import Image

RAM_MIB = 1024
CLOCK = "shift=1"  # the board's clock advances 2^1 ns an instruction: its latencies repeat to under 1 %


def serial_port(ssh_port: int) -> int:
    """Where the console listens: beside SSH."""
    return ssh_port + 1


def start(name: str, folder: Path, ssh_port: int, image: Image) -> Board:
    """Power on a board whose keys are in `folder`. Raises BoardError with QEMU's own words if it cannot."""
    (folder / INITRD).write_bytes(image.initrd.read_bytes() + _own_files(name, folder))
    shutil.rmtree(folder / SCRATCH, ignore_errors=True)
    (folder / SCRATCH).mkdir()
    done = subprocess.run(
        _command(name, folder, ssh_port, image),
        env={
            **os.environ,
            "TMPDIR": str(folder / SCRATCH),
        },  # where QEMU keeps what the board writes to its disk
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    board = read_board(name, folder)
    if done.returncode != 0 or board is None:
        said = done.stderr.strip().splitlines()[-1:] or [f"it ended with status {done.returncode}"]
        raise BoardError(f"QEMU did not start: {said[0]}", where=name)
    return board


def read_board(name: str, folder: Path) -> Board | None:
    """The board that runs with this folder's pidfile, if one does."""
    pidfile = folder / PIDFILE
    try:
        pid = int(pidfile.read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except (OSError, ValueError):
        return None
    ssh = re.search(r"hostfwd=tcp:127\.0\.0\.1:(\d+)-:22$", "\n".join(command), re.MULTILINE)
    if str(pidfile) not in command or not ssh:
        return None  # the system has given the number to another program since
    return Board(name, pid, int(ssh[1]), serial_port(int(ssh[1])), folder)


def _own_files(name: str, folder: Path) -> bytes:
    """What makes this board this one: a second archive behind the cached initial RAM disk."""
    own = {
        "etc/hostname": f"{name}\n".encode(),
        "etc/hosts": f"127.0.0.1 localhost {name}\n".encode(),
        f"etc/ssh/{HOST_KEY}": (folder / HOST_KEY).read_bytes(),
        "root/.ssh/authorized_keys": (folder / f"{IDENTITY}.pub").read_bytes(),
    }
    return initrd.archive([], {f"board/{path}": (initrd.PRIVATE, content) for path, content in own.items()})


def _command(name: str, folder: Path, ssh_port: int, image: Image) -> list[str]:
    console = f"host=127.0.0.1,port={serial_port(ssh_port)},server=on,wait=off,logfile={folder / CONSOLE_LOG}"
    return [
        "qemu-system-aarch64",
        *("-name", name),
        *("-machine", "virt,gic-version=2", "-cpu", "cortex-a72", "-smp", "1", "-m", str(RAM_MIB)),
        *("-icount", CLOCK),
        *("-nodefaults", "-display", "none", "-monitor", "none"),
        *("-kernel", str(image.kernel), "-initrd", str(folder / INITRD)),
        *("-append", "console=ttyAMA0 quiet mitigations=off"),
        *("-drive", f"if=none,id=disk,format=raw,file={image.disk},snapshot=on"),
        *("-device", "virtio-blk-device,drive=disk"),
        # restrict: the board reaches nobody, and is reached through this one port of this machine
        *("-netdev", f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{ssh_port}-:22"),
        *("-device", "virtio-net-device,netdev=net", "-device", "virtio-rng-device"),
        *("-chardev", f"socket,id=console,{console}", "-serial", "chardev:console"),
        # QEMU detaches itself once its ports are bound: what goes wrong before that is an exit status to us
        *("-daemonize", "-pidfile", str(folder / PIDFILE)),
    ]
