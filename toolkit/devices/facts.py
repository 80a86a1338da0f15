"""What the live board said of itself."""

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from pydantic import ConfigDict


@dataclass(frozen=True)
class DeviceFacts:
    """Hardware and software of one board; None where it could not be read."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")  # an agent says these, and no more

    machine: str
    cpu: str | None
    cores: int
    ram_bytes: int | None
    ram_available_bytes: int | None
    disk_free_bytes: int | None
    os: str
    kernel: str
    libc: str | None
    python: str | None
    board: str | None
    runtimes: dict[str, str]
    conditions: dict[str, Any] = field(compare=False)

    def identity(self) -> dict[str, Any]:
        """The facts that latencies depend on and that outlive a reboot."""
        keys = ("machine", "cpu", "cores", "ram_bytes", "kernel", "libc", "board")
        return {key: value for key, value in asdict(self).items() if key in keys}
