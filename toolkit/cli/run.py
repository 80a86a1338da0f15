"""`deploy run`, which is `deploy`."""

from pathlib import Path

import typer

from toolkit.augmentation import parse_augmentation
from toolkit.cli import errors, render
from toolkit.cli.arguments import check_policy, overrides_of, parse_profile_budget
from toolkit.cli.console import stderr, stdout
from toolkit.cli.options import (
    AdaptSteps,
    AllocatorName,
    AsJson,
    Augment,
    Channels,
    CurveName,
    Distill,
    KeepAccuracy,
    Latency,
    Memory,
    Model,
    PolicyFile,
    ProfileBudget,
    RecoveryRate,
    RecoverySteps,
    Runs,
    RuntimeName,
    Seed,
    Shots,
    Sign,
    Size,
    TargetName,
    TaskSource,
)
from toolkit.cli.runs import run_folder
from toolkit.devices.releases.signature import require_signing_key
from toolkit.errors import BudgetError
from toolkit.recipe import DEFAULT_RECIPE, parse_recipe
from toolkit.request import Request, require_channels
from toolkit.targets import load_target

EPILOG = (
    "Examples:  [bold]deploy --target host[/bold]   (the bundled example: a small vision transformer on digits)\n\n"
    "[bold]deploy --target host --latency 0.5ms --size 2MB[/bold]\n\n"
    "[bold]deploy --target host --keep-accuracy 0.98[/bold]   (as fast as keeps 98 % of the accuracy)\n\n"
    "[bold]deploy --target host --size 4.3MB --allocator policy --distill kd+gradient+beta[/bold]\n\n"
    "[bold]deploy --target host --size 4.3MB --distill kd+features+network --augment shift+noise[/bold]\n\n"
    "[bold]deploy --target host --runtime executorch[/bold]\n\n"
    "[bold]deploy --target emulated-pi --model toolkit.examples.digits:model --task toolkit.examples.digits:task[/bold]"
    "   (your own likewise: package.module:factory)"
)


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
    overrides = overrides_of(latency, memory, size, keep_accuracy)
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
    check_policy(allocator, policy)
    if channels:
        require_channels(allocator)
    if sign:
        require_signing_key(sign)
    from toolkit import pipeline  # torch takes seconds to import: bad input is refused before
    from toolkit.cli.advice import advice

    with run_folder(runs, board.name) as folder, render.RichProgress(stderr()) as progress:
        result = pipeline.deploy(request, board, overrides, progress, folder)
    if as_json:
        typer.echo(result.model_dump_json(indent=2))
    else:
        render.allocation(stdout(), result)
        render.closing(stdout(), result, folder)
    if not result.active:
        refused = BudgetError(
            "not activated: " + "; ".join(each.reason for each in result.refusals),
            where=board.name,
            next=f"The board serves what it served before. {advice(result)} See {folder / 'report.html'}.",
        )
        errors.show(refused)
        raise typer.Exit(refused.exit_code)
