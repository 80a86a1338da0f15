"""What boards answer, one of each kind, in the form of the script's lines."""

from toolkit.devices.survey import Survey, parse_survey

PI_5 = """machine=aarch64
kernel=Linux 6.6.31+rpt-rpi-2712
word_bits=64
elf_class=2
os_id=debian
os_version=12
glibc=glibc 2.36
ldd=ldd (Debian GLIBC 2.36-9+rpt2+deb12u7) 2.36 Copyright (C) 2022 Free Software Foundation, Inc.
python=3.11.2 64 glibc 2.36 /usr/bin/python3
cpu_part=0xd0b
cores=4
model=Raspberry Pi 5 Model B Rev 1.0
gpu=/dev/dri/renderD128
ram_kib=8245344
clock=1795890000
shell=/bin/bash
root=/home/me
writable=yes
df=/dev/mmcblk0p2 61000000 5000000 53000000 9% /
df_inodes=/dev/mmcblk0p2 3800000 120000 3680000 4% /
mount_options=rw,noatime
end=1
"""
# The default image of 2021 and before, and still on offer: a 64-bit kernel boots, the programs are of 32 bits.
PI_4_32_BITS = (
    PI_5.replace("word_bits=64", "word_bits=32")
    .replace("elf_class=2", "elf_class=1")
    .replace("os_id=debian", "os_id=raspbian")
    .replace("python=3.11.2 64", "python=3.11.2 32")
    .replace("Raspberry Pi 5 Model B Rev 1.0", "Raspberry Pi 4 Model B Rev 1.4")
)
JETSON = """machine=aarch64
kernel=Linux 5.15.148-tegra
word_bits=64
os_id=ubuntu
os_version=22.04
glibc=glibc 2.35
python=3.10.12 64 glibc 2.35 /usr/bin/python3
cpu_part=0xd42
cores=6
model=NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super
gpu=/dev/nvhost-gpu
l4t=# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, DATE: Wed Jan  8 01:49:37 UTC 2025
ram_kib=7802108
clock=1795890000
root=/home/me
writable=yes
df=/dev/nvme0n1p1 238000000 20000000 206000000 9% /
df_inodes=/dev/nvme0n1p1 15000000 300000 14700000 2% /
mount_options=rw,relatime
end=1
"""
ALPINE = """machine=aarch64
kernel=Linux 6.6.31-0-rpi
word_bits=64
os_id=alpine
os_version=3.20.0
ldd=musl libc (aarch64) Version 1.2.5 Dynamic Program Loader Usage: ldd [options] [--] pathname
musl=/lib/ld-musl-aarch64.so.1
python=3.12.3 64 /usr/bin/python3
cores=4
model=Raspberry Pi 4 Model B Rev 1.1
ram_kib=1900000
clock=1795890000
root=/home/me
writable=yes
df=/dev/mmcblk0p2 3000000 400000 2400000 15% /
mount_options=rw,relatime
end=1
"""
ANDROID = """machine=aarch64
kernel=Linux 5.10.157-android13-4
android=14
android_model=Pixel 7
elf_class=2
cores=8
gpu=/dev/mali0
ram_kib=7800000
clock=1795890000
root=/data/local/tmp
writable=yes
df=/dev/block/dm-50 115000000 40000000 75000000 35% /data
mount_options=rw,seclabel,nosuid,nodev,noatime
end=1
"""


def survey_of(text: str) -> Survey:
    """A whole answer, parsed."""
    found = parse_survey(text)
    assert found is not None
    return found
