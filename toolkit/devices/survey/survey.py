"""What a board's shell says of it."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Interpreter:
    """One Python of the board; `libc` is e.g. `glibc 2.36`, empty where it is not glibc's."""

    command: str
    version: str
    word_bits: int
    libc: str

    @property
    def minor(self) -> int:
        """11 of 3.11.2."""
        return int(self.version.split(".")[1])


@dataclass(frozen=True)
class Survey:
    """One board; None where it does not say. `root` is the folder, or the nearest one above it that is there.

    `machine` and `kernel` are the kernel's, `word_bits` the programs': they may differ. The first of `pythons` is what
    the target names, if the board has it. `system` is e.g. `debian 12`, `android 14`; `libc` e.g. `musl 1.2.4`.
    """

    machine: str
    kernel: str
    word_bits: int | None = None
    system: str | None = None
    libc: str | None = None
    pythons: tuple[Interpreter, ...] = ()
    cpu: str | None = None
    cores: int | None = None
    model: str | None = None
    gpu: str | None = None
    l4t: str | None = None
    ram_bytes: int | None = None
    root: str | None = None
    root_writable: bool | None = None
    root_noexec: bool | None = None
    disk_free_bytes: int | None = None
    inodes_free: int | None = None
    clock_s: int | None = None
    shell: str | None = None

    @property
    def python(self) -> Interpreter | None:
        """The one that would run the agent."""
        return self.pythons[0] if self.pythons else None

    def using(self, python: Interpreter) -> "Survey":
        """The same board with another Python as the one that would run the agent."""
        return replace(self, pythons=(python, *(each for each in self.pythons if each != python)))

    @property
    def jetpack(self) -> int | None:
        """NVIDIA's release of everything, which follows from the release of its Linux."""
        major = int(self.l4t.split(".")[0]) if self.l4t else 0
        return {32: 4, 34: 5, 35: 5, 36: 6, 38: 7}.get(major)
