"""Whether this processor's int8 products saturate on their way into a sum."""

_EXACT = {"avx512_vnni", "avx_vnni"}


def saturates(cpuinfo: "str | None") -> bool:
    """True on x86 without VNNI, by /proc/cpuinfo: unsigned and signed bytes are multiplied there in pairs of 16 bits.

    Two products of 255 x 127 are more than 16 bits hold (`vpmaddubsw`). Arm's instructions add into 32 bits.
    """
    for line in (cpuinfo or "").splitlines():
        if line.startswith("flags"):
            return _EXACT.isdisjoint(line.split())
    return False


def cpuinfo() -> "str | None":
    """What the kernel says of this processor; None where it says nothing."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return None
