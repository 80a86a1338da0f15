"""`deploy run`, which is `deploy`, goes through all ten stages."""

from pathlib import Path

import typer

from toolkit.cli import errors, render
from toolkit.cli.arguments import overrides_of, reading_of, request_of
from toolkit.cli.chatter import LOG, our_progress
from toolkit.cli.console import stdout
from toolkit.cli.options import (
    AsJson,
    ConfigFile,
    HostAddress,
    ImageSize,
    KeepAccuracy,
    Latency,
    Memory,
    MinAccuracy,
    Model,
    NoAdapt,
    PrecisionName,
    Runs,
    RuntimeName,
    SampleRate,
    Seed,
    Sets,
    Shots,
    Size,
    Speedup,
    TargetName,
    TaskOfDirectory,
    TaskSource,
    Tokenizer,
    TrustRemoteCode,
    Weights,
)
from toolkit.cli.runs import run_folder
from toolkit.devices.releases.signature import require_signing_key
from toolkit.errors import BudgetError
from toolkit.model_name import NamedModel
from toolkit.request import Request
from toolkit.targets import load_target

EPILOG = (
    "Examples:  [bold]deploy --target host[/bold]   (the bundled example)\n\n"
    "[bold]deploy --target host --keep-accuracy 0.98 --set recovery.rate=5e-3[/bold]"
)


def run(
    target: TargetName = "host",
    host: HostAddress = None,
    model: Model = Request.model,
    weights: Weights = None,
    hf_task: TaskOfDirectory = None,
    trust_remote_code: TrustRemoteCode = False,
    task: TaskSource = Request.task,
    image_size: ImageSize = None,
    sample_rate: SampleRate = None,
    tokenizer: Tokenizer = None,
    shots: Shots = 5,
    latency: Latency = None,
    speedup: Speedup = None,
    memory: Memory = None,
    size: Size = None,
    keep_accuracy: KeepAccuracy = None,
    min_accuracy: MinAccuracy = None,
    runtime: RuntimeName = None,
    precision: PrecisionName = Request.precision,
    no_adapt: NoAdapt = False,
    seed: Seed = 0,
    config: ConfigFile = None,
    sets: Sets = None,
    runs: Runs = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """Measure the board, make the model fit it, install it there, prove it, and let the board learn."""
    board = load_target(target, host)
    named = NamedModel(model, weights, hf_task, trust_remote_code)
    overrides = overrides_of(latency, memory, size, keep_accuracy, speedup, min_accuracy)
    files = reading_of(image_size, sample_rate, tokenizer)
    request = request_of(named, task, runtime, precision, shots, seed, config, sets, files, adapt=not no_adapt)
    if request.sign:
        require_signing_key(request.sign)
    from toolkit import pipeline  # torch takes seconds to import: bad input is refused before
    from toolkit.cli.advice import advice

    with run_folder(runs, board.name) as folder, our_progress(folder / LOG) as progress:
        result = pipeline.deploy(request, board, overrides, progress, folder)
    if as_json:
        typer.echo(result.model_dump_json(indent=2))
    else:
        render.allocation(stdout(), result)
        render.closing(stdout(), result, folder)
    if not result.active:
        refused = BudgetError(
            "did not activate the release: " + "; ".join(each.reason for each in result.refusals),
            where=board.name,
            next=f"The board serves what it served before. {advice(result)} See {folder / 'report.html'}.",
        )
        errors.show(refused)
        raise typer.Exit(refused.exit_code)
