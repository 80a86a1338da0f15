"""What a kind of board is: facts that hold for every board of it, wherever it stands."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

from toolkit.board_paths import BoardFolder, BoardProgram
from toolkit.targets.place import Place

Clock = Literal["wall", "instructions"]
RuntimeName = Literal["onnxruntime", "executorch", "tensorrt"]

NAME = r"^[a-z0-9][a-z0-9-]*$"


class BudgetDefaults(BaseModel):
    """What the board may spend per inference when the command line does not say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rate_hz: PositiveFloat | None = Field(default=None, description="inferences per second the application asks for")
    duty: float = Field(default=1.0, gt=0, le=1, description="share of each period that inference may take")
    dense_latency_fraction: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="for machines without a rate of their own: share of the dense model's p95",
    )
    memory_fraction: float = Field(
        default=0.25, gt=0, le=1, description="share of the board's RAM that inference may take"
    )


class Datasheet(BaseModel):
    """What its makers say of a board: enough for an estimate, and for no more."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    peak_gflops_fp32: PositiveFloat = Field(description="10^9 multiplications and additions a second, all cores")
    cores: PositiveInt
    memory_bandwidth_gb_s: PositiveFloat
    ram_bytes: PositiveInt | None = None
    sources: tuple[str, ...] = Field(min_length=1)


class BoardSettings(BaseModel):
    """How a board is used: a family has them for all its boards, and the file of one board may say them anew."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    summary: str
    runtimes: tuple[RuntimeName, ...] = Field(min_length=1, description="what it can run; the first is the default")
    threads: PositiveInt = 1
    python: BoardProgram = "python3"
    root: BoardFolder = Field(
        default="~/.edge-deploy", description="folder on the board for releases, of its own: a new or an empty one"
    )
    keep_releases: int = Field(
        default=3, ge=2, description="releases left on the board, the active and previous included"
    )
    budget: BudgetDefaults = BudgetDefaults()


class Family(BoardSettings):
    """A kind of board. `place` is where one of it answers unless somebody says otherwise."""

    name: str = Field(pattern=NAME)
    arch: Literal["x86_64", "aarch64", "any"]
    os: Literal["linux", "android"] = "linux"
    cpu: str | None = Field(
        default=None,
        description="what its boards say of their CPU; without a board at hand, profiles of another are left alone",
    )
    rank_multiple: PositiveInt = Field(
        default=8, description="SIMD width in channels: ranks off this step cost the next step"
    )
    clock: Clock = "wall"
    verified: bool = Field(default=False, description="deployed to by this project's own tests")
    sources: tuple[str, ...] = Field(default=(), description="public datasheets the defaults come from")
    datasheet: Datasheet | None = Field(default=None, description="for `deploy plan --estimate`")
    place: Place | None = None
