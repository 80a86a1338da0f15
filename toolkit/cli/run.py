"""`deploy run` and `deploy plan`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from toolkit.augmentation import parse_augmentation
from toolkit.cli import errors, render
from toolkit.cli.console import stderr, stdout
from toolkit.cli.frontier import draw
from toolkit.cli.options import AsJson, TargetName
from toolkit.cli.runs import run_folder
from toolkit.deployment import Deployment
from toolkit.devices.releases.signature import require_signing_key
from toolkit.errors import BadInput, BudgetError
from toolkit.recipe import DEFAULT_RECIPE, parse_recipe
from toolkit.request import Overrides, Request, require_channels
from toolkit.targets import load_target
from toolkit.units import parse_bytes, parse_milliseconds

RUN_EPILOG = (
    "Examples:  [bold]deploy --target host[/bold]   (the bundled example: a small vision transformer on digits)\n\n"
    "[bold]deploy --target host --latency 0.5ms --size 2MB[/bold]\n\n"
    "[bold]deploy --target host --keep-accuracy 0.98[/bold]   (as fast as keeps 98 % of the accuracy)\n\n"
    "[bold]deploy --target host --size 4.3MB --allocator policy --distill kd+gradient+beta[/bold]\n\n"
    "[bold]deploy --target host --runtime executorch[/bold]\n\n"
    "[bold]deploy --target emulated-pi --model toolkit.examples.digits:model --task toolkit.examples.digits:task[/bold]"
)
PLAN_EPILOG = (
    "Examples:  [bold]deploy plan --target host[/bold]\n\n"
    "[bold]deploy plan --target host --latency 0.5ms --json[/bold]\n\n"
    "[bold]deploy plan --target host --keep-accuracy 0.98[/bold]   (as fast as keeps 98 % of the accuracy)\n\n"
    "[bold]deploy plan --target host --frontier[/bold]   (accuracy against latency, by every allocator)\n\n"
    "[bold]deploy plan --target emulated-pi --offline[/bold]   (from a stored profile, without the board)"
)

_DISTURBED = 1.3  # p95 over median: more is no property of a model

Model = Annotated[
    str, typer.Option(help="Dense model: package.module:factory that returns an nn.Module.", rich_help_panel="What")
]
TaskSource = Annotated[
    str,
    typer.Option(
        "--task",
        help="Few-shot task: a folder class/*.png|wav|npy, a .npz with x and y, or package.module:factory.",
        rich_help_panel="What",
    ),
]
Shots = Annotated[int, typer.Option(min=1, help="Support examples a class.", rich_help_panel="What")]
Latency = Annotated[str | None, typer.Option(help="p95 of one inference, e.g. 5ms.", rich_help_panel="Budget")]
Memory = Annotated[
    str | None, typer.Option(help="Peak memory of the serving process, e.g. 64MB.", rich_help_panel="Budget")
]
Size = Annotated[str | None, typer.Option(help="Bytes that serving loads, e.g. 1MB.", rich_help_panel="Budget")]
KeepAccuracy = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        max=1.0,
        help="As fast as keeps this share of the dense accuracy before recovery, e.g. 0.98.",
        rich_help_panel="Budget",
    ),
]
DrawFrontier = Annotated[
    bool,
    typer.Option(
        "--frontier", help="Draw accuracy against latency instead, by every allocator.", rich_help_panel="How"
    ),
]
RuntimeName = Annotated[
    Literal["onnxruntime", "executorch"] | None,
    typer.Option(
        "--runtime", help="What runs the model on the board; the target's first if left out.", rich_help_panel="How"
    ),
]
AllocatorName = Annotated[
    Literal["exact", "greedy", "policy", "search", "uniform", "magnitude", "random"],
    typer.Option(
        "--allocator",
        help="How ranks are chosen; search tries hundreds of models, the last three are there to compare with.",
        rich_help_panel="How",
    ),
]
PolicyFile = Annotated[
    Path | None,
    typer.Option(
        "--policy",
        help="Trained policy of --allocator policy; the bundled example has one, which is the default there.",
        rich_help_panel="How",
    ),
]
CurveName = Annotated[
    Literal["jactus", "activation", "magnitude", "random", "dual"],
    typer.Option(
        "--curve",
        help="What a component is worth: weight, inputs and gradients (jactus), inputs (activation), the weight alone "
        "(magnitude), chance (random), or the task beside the general domain (dual).",
        rich_help_panel="How",
    ),
]
Channels = Annotated[
    bool,
    typer.Option(
        "--channels",
        help="Choose channels to remove, too, where that is worth more than low rank; by --allocator exact or greedy. "
        "Needs the extra `pruning`.",
        rich_help_panel="How",
    ),
]
Seed = Annotated[
    int, typer.Option(min=0, max=2**32 - 1, help="Seed of the task's draw and of all training.", rich_help_panel="How")
]
RecoverySteps = Annotated[
    int, typer.Option(min=0, help="Training steps of the compact model on this machine.", rich_help_panel="How")
]
RecoveryRate = Annotated[
    float,
    typer.Option(
        min=1e-6,
        max=1.0,
        help="Highest learning rate of that training; convolutional networks take more, e.g. 5e-3.",
        rich_help_panel="How",
    ),
]
Distill = Annotated[
    str,
    typer.Option(
        help="What trains the compact layers beside the labels: kd, features and gradient, joined with +, also with "
        "+beta, +beta-terms or +beta-instances (weights by uncertainty); task: labels alone. With +network all of the "
        "network learns, with +factors all of the compact layers, with +cores (or none of them) their cores alone.",
        rich_help_panel="How",
    ),
]
Augment = Annotated[
    str | None,
    typer.Option(
        help="How examples vary in that training: noise, and of images shift and mirror, joined with +; or none. "
        "Images are shifted if left out.",
        rich_help_panel="How",
    ),
]
AdaptSteps = Annotated[int, typer.Option(min=1, help="Training steps on the device.", rich_help_panel="How")]
Sign = Annotated[
    Path | None,
    typer.Option(help="ed25519 private key that signs the release, for boards that trust one.", rich_help_panel="How"),
]
Estimate = Annotated[
    bool,
    typer.Option(
        "--estimate", help="Estimate from the target's datasheet; nothing is measured.", rich_help_panel="How"
    ),
]
ProfileBudget = Annotated[
    str | None,
    typer.Option(
        help="Time to spend on measuring what can be predicted, e.g. 60s; all that is worth it if left out, or 0s.",
        rich_help_panel="How",
    ),
]
Offline = Annotated[
    bool, typer.Option("--offline", help="Plan from the stored profile; the board is not asked.", rich_help_panel="How")
]
Runs = Annotated[Path, typer.Option("--runs", help="Folder that receives <time>-<target>/.", rich_help_panel="How")]


def run(
    target: TargetName = "host",
    model: Model = Request.model,
    task: TaskSource = Request.task,
    shots: Shots = 5,
    latency: Latency = None,
    memory: Memory = None,
    size: Size = None,
    keep_accuracy: KeepAccuracy = None,
    runtime: RuntimeName = None,
    allocator: AllocatorName = "exact",
    policy: PolicyFile = None,
    curve: CurveName = "jactus",
    channels: Channels = False,
    recovery_steps: RecoverySteps = 400,
    distill: Distill = str(DEFAULT_RECIPE),
    augment: Augment = None,
    recovery_rate: RecoveryRate = Request.recovery_rate,
    adapt_steps: AdaptSteps = 40,
    seed: Seed = 0,
    sign: Sign = None,
    profile_budget: ProfileBudget = None,
    runs: Runs = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """Deploy: measure, allocate, compress, export, install, verify and adapt on the board, report."""
    board = load_target(target)
    overrides = _overrides(latency, memory, size, keep_accuracy)
    request = Request(
        model,
        task,
        runtime or board.runtimes[0],
        allocator,
        shots,
        seed,
        recovery_steps,
        parse_recipe(distill),
        adapt_steps,
        sign,
        parse_profile_budget(profile_budget),
        policy,
        curve=curve,
        channels=channels,
        augment=None if augment is None else parse_augmentation(augment),
        recovery_rate=recovery_rate,
    )
    _check_policy(allocator, policy)
    if channels:
        require_channels(allocator)
    if sign:
        require_signing_key(sign)
    from toolkit import pipeline  # torch takes seconds to import: bad input is refused before

    with run_folder(runs, board.name) as folder, render.RichProgress(stderr()) as progress:
        result = pipeline.deploy(request, board, overrides, progress, folder)
    if as_json:
        typer.echo(result.model_dump_json(indent=2))
    else:
        render.allocation(stdout(), result)
        render.closing(stdout(), result, folder)
    if not result.active:
        refused = BudgetError(
            "not activated: " + "; ".join(result.refusals),
            where=board.name,
            next=f"The board serves what it served before. {_advice(result)} See {folder / 'report.html'}.",
        )
        errors.show(refused)
        raise typer.Exit(refused.exit_code)


def _advice(result: Deployment) -> str:
    """A median within the budget under a p95 far beyond it is a disturbed board, not a slow model."""
    latency = result.latency_ms
    median, p95, budget = latency.median, latency.p95, latency.budget
    if median and p95 and budget and median < budget < p95 and p95 > _DISTURBED * median:
        return "The median is within it: something else had the processor. Run again when the board is idle."
    return "Raise the budget, or give a smaller model."


def plan(
    target: TargetName = "host",
    model: Model = Request.model,
    task: TaskSource = Request.task,
    shots: Shots = 5,
    latency: Latency = None,
    memory: Memory = None,
    size: Size = None,
    keep_accuracy: KeepAccuracy = None,
    runtime: RuntimeName = None,
    allocator: AllocatorName = "exact",
    policy: PolicyFile = None,
    curve: CurveName = "jactus",
    channels: Channels = False,
    seed: Seed = 0,
    profile_budget: ProfileBudget = None,
    offline: Offline = False,
    estimate: Estimate = False,
    frontier: DrawFrontier = False,
    runs: Runs = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """Measure the board and allocate; nothing is installed."""
    if offline and estimate:
        raise BadInput("exclude each other", where="--offline and --estimate", next="Choose one.")
    board = load_target(target)
    overrides = _overrides(latency, memory, size, keep_accuracy)
    request = Request(
        model,
        task,
        runtime or board.runtimes[0],
        allocator,
        shots,
        seed,
        profile_budget_s=parse_profile_budget(profile_budget),
        policy=policy,
        curve=curve,
        channels=channels,
    )
    _check_policy(allocator, policy)
    if channels:
        require_channels(allocator)
    if frontier:
        draw(request, board, overrides, runs, offline=offline, as_json=as_json)
        return
    from toolkit import pipeline

    make = pipeline.plan_estimate if estimate else pipeline.plan_offline if offline else pipeline.plan
    with run_folder(runs, board.name) as folder, render.RichProgress(stderr()) as progress:
        result = make(request, board, overrides, progress, folder)
    if as_json:
        typer.echo(result.model_dump_json(indent=2))
    else:
        render.allocation(stdout(), result)
        render.predicted(stdout(), result, folder)


def parse_profile_budget(text: str | None) -> float | None:
    """Seconds; None for no bound. Raises BadInput."""
    if text is None or text.strip() in ("0", "0s"):
        return None
    return parse_milliseconds(text) / 1e3


def _check_policy(allocator: str, policy: Path | None) -> None:
    """Raises BadInput before anything is loaded."""
    if policy is not None and allocator != "policy":
        raise BadInput(f"is not read by --allocator {allocator}", where="--policy", next="Give --allocator policy.")
    if policy is not None and not policy.is_file():
        raise BadInput("no such file", where=f"--policy {policy}", next="Name a file that a policy was saved in.")


def _overrides(latency: str | None, memory: str | None, size: str | None, keep_accuracy: float | None) -> Overrides:
    return Overrides(
        None if latency is None else parse_milliseconds(latency),
        None if memory is None else parse_bytes(memory),
        None if size is None else parse_bytes(size),
        keep_accuracy,
    )
