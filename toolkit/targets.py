"""What a board is, read from `targets/NAME.toml`: shipped ones, overridden by the working folder's."""

import difflib
import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError

from toolkit.board_paths import BoardFolder, BoardProgram
from toolkit.cache import cache_folder
from toolkit.errors import BadInput
from toolkit.shipped import shipped_folder

Clock = Literal["wall", "instructions"]


class Connection(BaseModel):
    """How to reach the board. `{cache}` in a path stands for the user's cache folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    transport: Literal["local", "ssh", "adb", "serial"]
    host: str | None = None
    port: int = Field(default=22, gt=0, lt=2**16)
    user: str | None = None
    identity_file: str | None = None
    known_hosts_file: str | None = None
    proxy_jump: str | None = Field(default=None, description="hosts to go through, as in ssh_config's ProxyJump")
    password_file: str | None = Field(default=None, description="file whose first line is the login password")
    serial: str | None = Field(
        default=None,
        description="adb serial (`host:port` over TCP), or console device (`/dev/ttyUSB0`, `socket://host:port`)",
    )
    baud: PositiveInt = Field(default=115200, description="speed of the console's line")


class BudgetDefaults(BaseModel):
    """What the board may spend per inference when the command line does not say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rate_hz: PositiveFloat | None = Field(default=None, description="inferences per second the application asks for")
    duty: float = Field(default=1.0, gt=0, le=1, description="share of each period that inference may take")
    dense_latency_fraction: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="for machines without a rate of their own: share of the dense model's median",
    )
    memory_fraction: float = Field(
        default=0.25, gt=0, le=1, description="share of the board's RAM that inference may take"
    )


class Datasheet(BaseModel):
    """What its makers say of a board: enough for an estimate, and for no more."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    peak_gflops_fp32: PositiveFloat = Field(description="10^9 multiplications and additions a second, all cores")
    memory_bandwidth_gb_s: PositiveFloat
    ram_bytes: PositiveInt | None = None
    sources: tuple[str, ...] = Field(min_length=1)


class Target(BaseModel):
    """A board family: facts that do not change from one power-on to the next."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    summary: str
    arch: Literal["x86_64", "aarch64", "any"]
    os: Literal["linux", "android"] = "linux"
    connection: Connection
    runtimes: tuple[Literal["onnxruntime", "executorch", "tensorrt"], ...] = Field(min_length=1)
    rank_multiple: PositiveInt = Field(
        default=8, description="SIMD width in channels: ranks off this step cost the next step"
    )
    threads: PositiveInt = 1
    clock: Clock = "wall"
    python: BoardProgram = "python3"
    root: BoardFolder = Field(
        default="~/.edge-deploy", description="folder on the board for releases, of its own: a new or an empty one"
    )
    keep_releases: int = Field(
        default=3, ge=2, description="releases left on the board, the active and previous included"
    )
    lab: str | None = Field(default=None, description="emulated machine behind this target: `deploy lab up` boots it")
    verified: bool = Field(default=False, description="deployed to by this project's own tests")
    sources: tuple[str, ...] = Field(default=(), description="public datasheets the defaults come from")
    budget: BudgetDefaults = BudgetDefaults()
    datasheet: Datasheet | None = Field(default=None, description="for `deploy plan --estimate`")


def load_target(name: str) -> Target:
    """The target of that name. Raises BadInput with the nearest names, or with every error of its file."""
    files = target_files()
    if name not in files:
        near = difflib.get_close_matches(name, files, n=3, cutoff=0.4)
        hint = f"Did you mean {' or '.join(near)}? " if near else ""
        raise BadInput(f"unknown target '{name}'", next=f"{hint}`deploy targets` lists all {len(files)}.")
    return read_target(files[name])


def read_target(path: Path) -> Target:
    """Parse one target file. Raises BadInput that lists every error of the file, not the first."""
    try:
        target = Target.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors()]
        raise BadInput("; ".join(lines), where=str(path), next="Mend the file and run again.") from None
    except (ValueError, RecursionError, OSError) as error:  # tomllib lets int() and deep nesting raise theirs
        raise BadInput(str(error), where=str(path), next="Mend the file and run again.") from None
    if target.name != path.stem:
        raise BadInput(f"name is '{target.name}'", where=str(path), next="The name must equal the file's name.")
    return target


def target_files() -> dict[str, Path]:
    """Every target's file by name; the working folder's `targets/` wins over the shipped ones."""
    folders = (shipped_folder("targets"), Path("targets"))
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.toml"))}


def expand_path(text: str) -> Path:
    """A path from a target file on this machine, with `~` and `{cache}` expanded."""
    return Path(text.replace("{cache}", str(cache_folder())) if "{cache}" in text else text).expanduser()
