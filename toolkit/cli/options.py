"""Options that several verbs share."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from toolkit.cli.completion import complete_settings, complete_targets
from toolkit.model_name import HfTask

TargetName = Annotated[
    str,
    typer.Option(
        "--target", "-t", metavar="NAME", help="Board; see `deploy targets`.", autocompletion=complete_targets
    ),
]
HostAddress = Annotated[
    str | None,
    typer.Option("--host", metavar="ADDRESS", help="[USER@]HOST[:PORT], adb:SERIAL, /dev/ttyUSB0."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object; progress goes to stderr.")]
Model = Annotated[
    str,
    typer.Option(
        metavar="MODEL",
        help="pkg:factory?width=32, FILE.pt2, hf:DIR.",
        show_default=False,  # the examples below say so
        rich_help_panel="What",
    ),
]
Weights = Annotated[
    Path | None,
    typer.Option("--weights", metavar="FILE", help="Of a factory: .safetensors, .pt, .pth.", rich_help_panel="What"),
]
TaskOfDirectory = Annotated[
    HfTask | None,
    typer.Option("--hf-task", metavar="TASK", help="Of hf:DIR: image-classification, ...", rich_help_panel="What"),
]
TrustRemoteCode = Annotated[
    bool, typer.Option("--trust-remote-code", help="Run the code that hf:DIR brings.", rich_help_panel="What")
]
TaskSource = Annotated[
    str,
    typer.Option(
        "--task",
        metavar="TASK",
        help="Folder, .npz, .csv, .jsonl, or factory.",
        show_default=False,
        rich_help_panel="What",
    ),
]
ImageSize = Annotated[str | None, typer.Option(metavar="N|HxW", help="Scale and crop images.", rich_help_panel="What")]
SampleRate = Annotated[
    str | None, typer.Option(metavar="HZ", help="Bring recordings to this rate.", rich_help_panel="What")
]
Tokenizer = Annotated[
    Path | None,
    typer.Option(metavar="PATH", help="Of texts: folder, or tokenizer.json.", rich_help_panel="What"),
]
Shots = Annotated[int, typer.Option(min=1, metavar="N", help="Support examples a class.", rich_help_panel="What")]
Latency = Annotated[
    str | None, typer.Option(metavar="TIME", help="p95 of one inference, e.g. 5ms.", rich_help_panel="Budget")
]
Speedup = Annotated[
    float | None,
    typer.Option(metavar="TIMES", help="Or so many times as fast as dense: 1.5.", rich_help_panel="Budget"),
]
Memory = Annotated[
    str | None,
    typer.Option(metavar="BYTES", help="Peak while serving, e.g. 64MB.", rich_help_panel="Budget"),
]
Size = Annotated[
    str | None, typer.Option(metavar="BYTES", help="All files served, e.g. 1MB.", rich_help_panel="Budget")
]
KeepAccuracy = Annotated[
    float | None,
    typer.Option(metavar="SHARE", help="Fastest to keep this share of accuracy: 0.98.", rich_help_panel="Budget"),
]
MinAccuracy = Annotated[
    str | None, typer.Option(metavar="SHARE", help="Activate nothing less accurate: 85%.", rich_help_panel="Budget")
]
NoAdapt = Annotated[bool, typer.Option("--no-adapt", help="The board does not learn.", rich_help_panel="How")]
DrawFrontier = Annotated[
    bool,
    typer.Option(
        "--frontier", help="Draw accuracy against latency instead, by every allocator.", rich_help_panel="How"
    ),
]
RuntimeName = Annotated[
    Literal["onnxruntime", "executorch"] | None,
    typer.Option(
        "--runtime",
        metavar="NAME",
        help="onnxruntime | executorch; else the first that its board runs.",
        rich_help_panel="How",
    ),
]
PrecisionName = Annotated[
    Literal["auto", "fp32", "fp16", "int8"],
    typer.Option(
        "--precision",
        metavar="NAME",
        help="auto (default), fp32, fp16 or int8.",
        show_default=False,
        rich_help_panel="How",
    ),
]
Seed = Annotated[
    int,
    typer.Option(min=0, max=2**32 - 1, metavar="N", help="Of draws and training.", rich_help_panel="How"),
]
Estimate = Annotated[
    bool,
    typer.Option(
        "--estimate", help="Estimate from the target's datasheet; nothing is measured.", rich_help_panel="How"
    ),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Settings (see `deploy methods`).",
        rich_help_panel="How",
    ),
]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="One setting: recovery.rate=5e-3.",
        autocompletion=complete_settings,
        rich_help_panel="How",
    ),
]
Offline = Annotated[
    bool, typer.Option("--offline", help="Plan from the stored profile; the board is not asked.", rich_help_panel="How")
]
Runs = Annotated[Path, typer.Option("--runs", metavar="DIR", help="Folder for results.", rich_help_panel="How")]
