"""`deploy plan` measures and allocates, and installs nothing."""

from pathlib import Path

import typer

from toolkit.cli import render
from toolkit.cli.arguments import overrides_of, reading_of, request_of
from toolkit.cli.chatter import LOG, our_progress
from toolkit.cli.console import stdout
from toolkit.cli.frontier import draw
from toolkit.cli.options import (
    AsJson,
    ConfigFile,
    DrawFrontier,
    Estimate,
    HostAddress,
    ImageSize,
    KeepAccuracy,
    Latency,
    Memory,
    Model,
    Offline,
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
from toolkit.errors import BadInput
from toolkit.model_name import NamedModel
from toolkit.request import Request
from toolkit.targets import load_target

EPILOG = (
    "Examples:  [bold]deploy plan --target host[/bold]\n\n"
    "[bold]deploy plan --target host --latency 2ms --json[/bold]\n\n"
    "[bold]deploy plan --target host --keep-accuracy 0.98[/bold]   (as fast as keeps 98 % of the accuracy)\n\n"
    "[bold]deploy plan --target host --frontier[/bold]   (accuracy against latency, by every allocator)\n\n"
    "[bold]deploy plan --target emulated-pi --offline[/bold]   (from a stored profile, without the board)"
)


def plan(
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
    runtime: RuntimeName = None,
    precision: PrecisionName = Request.precision,
    seed: Seed = 0,
    config: ConfigFile = None,
    sets: Sets = None,
    offline: Offline = False,
    estimate: Estimate = False,
    frontier: DrawFrontier = False,
    runs: Runs = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """Measure the board and allocate; nothing is installed."""
    if offline and estimate:
        raise BadInput("exclude each other", where="--offline and --estimate", next="Choose one.")
    board = load_target(target, host)
    named = NamedModel(model, weights, hf_task, trust_remote_code)
    overrides = overrides_of(latency, memory, size, keep_accuracy, speedup)
    files = reading_of(image_size, sample_rate, tokenizer)
    request = request_of(named, task, runtime, precision, shots, seed, config, sets, files)
    if frontier:
        draw(request, board, overrides, runs, offline=offline, as_json=as_json)
        return
    from toolkit import pipeline

    make = pipeline.plan_estimate if estimate else pipeline.plan_offline if offline else pipeline.plan
    with run_folder(runs, board.name) as folder, our_progress(folder / LOG) as progress:
        result = make(request, board, overrides, progress, folder)
    if as_json:
        typer.echo(result.model_dump_json(indent=2))
    else:
        render.allocation(stdout(), result)
        render.predicted(stdout(), result, folder)
