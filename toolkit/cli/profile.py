"""`deploy profile` times a model's layers on a board, or compares two profiles."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from toolkit.cache import cache_folder
from toolkit.cli.arguments import reading_of, request_of
from toolkit.cli.chatter import LOG, our_progress
from toolkit.cli.console import stdout
from toolkit.cli.options import (
    AsJson,
    ConfigFile,
    HostAddress,
    ImageSize,
    Model,
    PrecisionName,
    RuntimeName,
    SampleRate,
    Seed,
    Sets,
    Shots,
    TargetName,
    TaskOfDirectory,
    TaskSource,
    Tokenizer,
    TrustRemoteCode,
    Weights,
)
from toolkit.errors import BadInput
from toolkit.model_name import NamedModel
from toolkit.request import Request
from toolkit.targets import load_target
from toolkit.units import format_bytes, format_milliseconds

EPILOG = (
    "Examples:  [bold]deploy profile --target host --set profiling.budget=60s[/bold]\n\n"
    "[bold]deploy profile --diff before.json after.json[/bold]"
)

Diff = Annotated[
    tuple[str, str] | None,
    typer.Option(
        "--diff",
        help="Compare two profiles instead: files, or names of stored ones.",
        metavar="A B",
        rich_help_panel="How",
    ),
]


_MEASURE_AGAIN = "Compare others, or measure it again with `deploy profile`."


def profile(
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
    runtime: RuntimeName = None,
    precision: PrecisionName = Request.precision,
    seed: Seed = 0,
    config: ConfigFile = None,
    sets: Sets = None,
    diff: Diff = None,
    as_json: AsJson = False,
) -> None:
    """Measure the model's layers on the board and keep the times; or compare two profiles."""
    if diff is not None:
        _difference(*diff, as_json)
        return
    board = load_target(target, host)
    named = NamedModel(model, weights, hf_task, trust_remote_code)
    files = reading_of(image_size, sample_rate, tokenizer)
    request = request_of(named, task, runtime, precision, shots, seed, config, sets, files)
    from toolkit import pipeline  # torch takes seconds to import: bad input is refused before

    with our_progress(cache_folder() / LOG) as progress:
        found = pipeline.profile(request, board, progress)
    if as_json:
        typer.echo(json.dumps({"path": str(found.path), "profile": found.profile.model_dump(mode="json")}, indent=2))
        return
    rows = {key: row for key, row in found.profile.rows.items() if key in found.own}
    flagged = found.profile.flagged()
    table = Table(title=f"{board.name}, {found.profile.runtime} {found.profile.runtime_version}")
    for name in ("program", "median", "p95", "disturbed"):
        table.add_column(name, justify="right" if name in ("median", "p95") else "left")
    for key, row in sorted(rows.items(), key=lambda each: -each[1].median_ms):
        times = format_milliseconds(row.median_ms), format_milliseconds(row.p95_ms)
        table.add_row(escape(_short(key)), *times, ", ".join(flagged.get(key, ())))
    console = stdout()
    console.print(table)
    dense = found.dense
    console.print(
        f"The dense model takes {format_milliseconds(dense.measurement.median_ms)}, its process "
        f"{format_bytes(dense.peak_bytes)} at most."
    )
    console.print(f"Profile: {found.path}", soft_wrap=True)


def _difference(first: str, second: str, as_json: bool) -> None:
    from toolkit.profiling import read_profile
    from toolkit.profiling.difference import compare_profiles

    paths = _find(first), _find(second)

    one, other = (read_profile(path, _MEASURE_AGAIN) for path in paths)
    found = compare_profiles(one, other)
    if as_json:
        typer.echo(json.dumps({"first": str(paths[0]), "second": str(paths[1]), **found.as_dict()}))
        return
    console = stdout()
    table = Table(title=f"{paths[0].name} and {paths[1].name}: medians, the largest change first")
    for name in ("program", "first", "second", "ratio", "disturbed"):
        table.add_column(name, justify="left" if name in ("program", "disturbed") else "right")
    for row in found.changes:
        times = format_milliseconds(row.first_ms), format_milliseconds(row.second_ms)
        table.add_row(escape(_short(row.signature)), *times, f"{row.ratio:.3f}", ", ".join(row.flags))
    for name, (before, after) in found.facts.items():  # first: it may say why the times cannot be compared
        console.print(escape(f"{name.replace('_', ' ')}: {before} and {after}"))
    console.print(table)
    for which, only in (("first", found.only_in_first), ("second", found.only_in_second)):
        if only:
            console.print(f"Only in the {which}: {len(only)}")
            for key in only:
                console.print(f"  {escape(_short(key))}", soft_wrap=True)


def _find(name: str) -> Path:
    """A file, or the one stored profile of which the name begins so. Raises BadInput."""
    from toolkit.profiling.stored import stored_files

    if Path(name).is_file():
        return Path(name)
    found: dict[str, Path] = {}
    for path in stored_files():  # the ones that count come first
        if path.stem.startswith(name):
            found.setdefault(path.stem, path)
    if name in found:
        return found[name]
    if len(found) != 1:
        names = ", ".join(found or {path.stem: path for path in stored_files()}) or "none"
        raise BadInput(
            "several stored profiles begin so"
            if found
            else "there is no such file, and no stored profile of that name",
            where=f"--diff {name}",
            next=f"Choose one of: {names}.",
        )
    return next(iter(found.values()))


def _short(key: str) -> str:
    return key[: len("program ") + 12] if key.startswith("program ") else key
