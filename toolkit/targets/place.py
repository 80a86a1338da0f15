"""Where one board can be reached: a transport and an address, nothing of what the board is."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

# Without and with dot products of int8, as a Raspberry Pi 4 and 5.
EmulatedCpu = Literal["cortex-a72", "cortex-a76"]

_FROZEN = ConfigDict(frozen=True, extra="forbid")


class LocalPlace(BaseModel):
    """This machine."""

    model_config = _FROZEN

    transport: Literal["local"] = "local"

    def __str__(self) -> str:
        return "this machine"


class SshPlace(BaseModel):
    """An SSH server. What is left out is as `ssh` would have it."""

    model_config = _FROZEN

    transport: Literal["ssh"] = "ssh"
    host: str = Field(min_length=1)
    port: int | None = Field(default=None, gt=0, lt=2**16)
    user: str | None = None
    identity_file: str | None = None
    known_hosts_file: str | None = None
    proxy_jump: str | None = Field(default=None, description="hosts to go through, as in ssh_config's ProxyJump")
    password_file: str | None = Field(default=None, description="file whose first line is the login password")

    def __str__(self) -> str:
        user, port = f"{self.user}@" if self.user else "", f":{self.port}" if self.port else ""
        return f"ssh {user}{f'[{self.host}]' if ':' in self.host else self.host}{port}"


class AdbPlace(BaseModel):
    """A board that the adb server sees or can connect to; without a serial, the only one that is attached."""

    model_config = _FROZEN

    transport: Literal["adb"] = "adb"
    serial: str | None = Field(default=None, min_length=1, description="as in `adb -s`; `host:port` over TCP")

    def __str__(self) -> str:
        return f"adb {self.serial}" if self.serial else "adb"


class SerialPlace(BaseModel):
    """A console on a serial line."""

    model_config = _FROZEN

    transport: Literal["serial"] = "serial"
    device: str = Field(min_length=1, description="`/dev/ttyUSB0`, or `socket://host:port`")
    baud: PositiveInt = 115200
    user: str | None = None
    password_file: str | None = Field(default=None, description="file whose first line is the login password")

    def __str__(self) -> str:
        return f"console {self.device}"


class LabPlace(BaseModel):
    """An emulated board, which `deploy lab up` boots: its ports and keys are those of the machine that runs then."""

    model_config = _FROZEN

    transport: Literal["lab"] = "lab"
    machine: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    by: Literal["ssh", "adb", "serial"]
    cpu: EmulatedCpu = "cortex-a72"

    def __str__(self) -> str:
        return f"emulated, by {self.by}"


Place = Annotated[LocalPlace | SshPlace | AdbPlace | SerialPlace | LabPlace, Field(discriminator="transport")]
