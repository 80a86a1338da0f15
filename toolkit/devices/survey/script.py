"""The questions, in POSIX shell: a line `key=value` for each answer that there is, `end=1` after the last."""

from toolkit.devices.streams import shell_path


def survey_script(root: str, python: str) -> str:
    """A script that only looks: it writes nothing, and asks nothing that is not there."""
    return _SCRIPT.replace("@ROOT@", shell_path(root)).replace("@PYTHON@", shell_path(python))


# Written for dash, busybox and Android's toybox: no awk, no local, no arrays. What is missing leaves its line out.
_SCRIPT = r"""
{
say() { if [ -n "$2" ]; then printf '%s=%s\n' "$1" "$2"; fi; }
line() { [ -r "$1" ] && tr -d '\000\r' <"$1" | head -n 1; }
say machine "$(uname -m)"
say kernel "$(uname -s) $(uname -r)"
say word_bits "$(getconf LONG_BIT)"
# byte 4 of an ELF file: 1 for 32 bits, 2 for 64
say elf_class "$(dd if=/proc/$$/exe bs=1 skip=4 count=1 | od -An -tu1 | tr -d ' ')"
say os_id "$(sed -n 's/^ID=//p' /etc/os-release | tr -d '"' | head -n 1)"
say os_version "$(sed -n 's/^VERSION_ID=//p' /etc/os-release | tr -d '"' | head -n 1)"
say android "$(getprop ro.build.version.release)"
say android_model "$(getprop ro.product.model)"
say glibc "$(getconf GNU_LIBC_VERSION)"
say ldd "$(ldd --version 2>&1 | tr '\n' ' ')"
for each in /lib/ld-musl-*; do [ -e "$each" ] && say musl "$each" && break; done
for each in @PYTHON@ python3 python3.14 python3.13 python3.12 python3.11 python3.10 python3.9; do
  path=$(command -v "$each") || continue
  facts=$("$path" -c 'import platform, struct, zipfile, zlib
print(platform.python_version(), struct.calcsize("P") * 8, *platform.libc_ver())' | tail -n 1)
  [ -n "$facts" ] && say python "$facts $path"
done
say cpu "$(sed -n -e 's/^model name[[:space:]]*: //p' -e 's/^Hardware[[:space:]]*: //p' /proc/cpuinfo | head -n 1)"
say cpu_part "$(sed -n 's/^CPU part[[:space:]]*: //p' /proc/cpuinfo | head -n 1)"
say cores "$(grep -c '^processor' /proc/cpuinfo)"
say model "$(line /proc/device-tree/model)"
for each in /dev/nvidia0 /dev/nvhost-gpu /dev/kgsl-3d0 /dev/mali0 /dev/dri/renderD128; do
  [ -e "$each" ] && say gpu "$each" && break
done
say l4t "$(line /etc/nv_tegra_release)"
say ram_kib "$(sed -n 's/^MemTotal:[[:space:]]*\([0-9]*\) kB/\1/p' /proc/meminfo)"
say clock "$(date +%s)"
say shell "$SHELL"
root=@ROOT@
while [ ! -e "$root" ] && [ -n "$root" ]; do
  case $root in */*) root=${root%/*} ;; *) root=. ;; esac
done
root=$(cd "${root:-/}" && pwd)
say root "$root"
if [ -w "$root" ]; then say writable yes; else say writable no; fi
say df "$(df -Pk "$root" | tail -n 1)"
say df_inodes "$(df -Pi "$root" | tail -n 1)"
# as /proc/mounts writes it
mount=$(df -Pk "$root" | tail -n 1 | sed -e 's/.*% *//' -e 's/ /\\040/g')
while read -r device folder type options rest; do
  [ "$folder" = "$mount" ] && found=$options
done </proc/mounts
say mount_options "$found"
say end 1
} 2>/dev/null
"""
