"""What every emulated board boots from: disk, kernel and initial RAM disk, built once and cached.

They are made of Debian packages. No arm64 program runs while building and no privilege is needed: packages
are unpacked, not installed, and the few files that their installation would have made are written here.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from toolkit.cache import cached, digest
from toolkit.lab import adbd, debian_packages, initrd
from toolkit.lab.adbd import add_adbd
from toolkit.lab.debian_packages import unpack_packages
from toolkit.lab.tools import TO_BUILD, require, run_tool

RELEASE = "bookworm"  # also when this machine runs another: the same Python, hence the same wheels, everywhere
DISK_MIB = 2048  # sparse; about a tenth is used
PACKAGES = (
    *(
        "base-files",
        "bash",
        "coreutils",
        "dash",
        "diffutils",
        "findutils",
        "grep",
        "gzip",
        "hostname",
        "mawk",
    ),
    *("iproute2", "libc-bin", "mount", "procps", "sed", "tar", "usr-is-merged", "util-linux"),
    *("openssh-server", "openssh-sftp-server", "python3"),
    "libstdc++6",  # the wheels of inference runtimes need it, and nothing above does
)
# the kernel, and the busybox that mounts the disk and asks for the console's password
FETCH = (
    'mkdir "$1/lab" && cd "$1/lab" && export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" &&'
    ' kernel=$(apt-cache depends linux-image-cloud-arm64 | sed -n "s/.*Depends: \\(linux-.*\\)/\\1/p") &&'
    ' apt-get -qq download -o APT::Sandbox::User=root busybox-static "$kernel"'
)
MODULES = ("virtio_mmio", "virtio_blk", "virtio_net", "virtio_rng", "ext4", "sch_netem")
GUEST = Path(__file__).parent / "guest"


@dataclass(frozen=True)
class Image:
    """Files that all boards share and none changes."""

    disk: Path
    kernel: Path
    initrd: Path


def board_image(on_step: Callable[[str], None]) -> Image:
    """This recipe's image, built at the first call. Raises BoardUnavailable if a tool or mirror is absent."""
    modules = (adbd, debian_packages, initrd)
    recipe = [Path(__file__), *(Path(str(module.__file__)) for module in modules), *sorted(GUEST.iterdir())]
    key = digest(*(path.read_bytes() for path in recipe))

    def build(folder: Path) -> None:
        require(TO_BUILD)
        on_step("Building the arm64 image from Debian packages (once, under a minute)")
        _build(folder)

    folder, _ = cached("lab-image", key, build)
    return Image(folder / "disk.img", folder / "vmlinuz", folder / "initrd.gz")


def _build(folder: Path) -> None:
    root, parts = folder / "root", folder / "parts"
    unpack_packages(RELEASE, PACKAGES, root, then=FETCH)
    # the kernel and busybox were fetched but not unpacked: they do not belong on the disk
    parts.mkdir()
    for package in sorted((root / "lab").iterdir()):
        run_tool(["dpkg-deb", "-x", str(package), str(parts)], "unpacking the kernel")
    shutil.rmtree(root / "lab")
    shutil.move(next(parts.glob("boot/vmlinuz-*")), folder / "vmlinuz")
    (folder / "initrd.gz").write_bytes(_initrd(parts))
    add_adbd(root, folder / "adbd")
    _configure(root)
    _add_login(root, next(parts.rglob("bin/busybox")))
    _make_disk(root, folder / "disk.img")
    shutil.rmtree(parts)
    shutil.rmtree(root)


def _initrd(parts: Path) -> bytes:
    modules = {path.stem.replace("-", "_"): path for path in parts.rglob("*.ko")}
    built_in = {
        Path(line).stem.replace("-", "_")
        for listing in parts.rglob("modules.builtin")
        for line in listing.read_text().splitlines()
    }
    order = initrd.module_order(modules, [name for name in MODULES if name not in built_in])
    files = {
        "init": (initrd.PROGRAM, (GUEST / "initrd-init").read_bytes()),
        "bin/busybox": (initrd.PROGRAM, next(parts.rglob("bin/busybox")).read_bytes()),
    }
    for position, path in enumerate(order):
        files[f"modules/{position:02d}-{path.name}"] = (initrd.PROGRAM, path.read_bytes())
    return initrd.archive(["dev", "proc", "sys", "newroot"], files)


def _configure(root: Path) -> None:
    texts = {
        "etc/passwd": "root:x:0:0:root:/root:/bin/bash\n"
        "sshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
        "etc/group": "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n",
        "etc/nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files\n",
    }
    for path, text in texts.items():
        (root / path).write_text(text)
    (root / "etc/ssh").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(GUEST / "sshd_config", root / "etc/ssh/sshd_config")
    shutil.copyfile(GUEST / "lab-init", root / "usr/sbin/lab-init")
    (root / "usr/sbin/lab-init").chmod(0o755)
    for folder in ("dev", "proc", "sys", "run", "tmp", "root", "data/local/tmp"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    if not (root / "usr/bin/awk").exists():
        (root / "usr/bin/awk").symlink_to("mawk")


def _add_login(root: Path, busybox: Path) -> None:
    """The program that asks for a password on the console, and what a login shell reads first."""
    shutil.copyfile(busybox, root / "usr/bin/login")  # Debian's own wants PAM, which is not configured here
    (root / "usr/bin/login").chmod(0o755)
    shutil.copyfile(root / "usr/share/base-files/profile", root / "etc/profile")


def _make_disk(root: Path, disk: Path) -> None:
    # in a user namespace of our own, files of an ordinary user look like root's, as they must on the disk
    as_root = [] if os.geteuid() == 0 else ["unshare", "--map-root-user"]
    size = f"{DISK_MIB}M"
    make = ["mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-L", "board", "-d", str(root), str(disk), size]
    run_tool(
        [*as_root, *make],
        "making the disk image",
        next="Run as root, or allow ordinary users to make user namespaces." if as_root else None,
    )
