"""Options that several verbs share."""

from pathlib import Path
from typing import Annotated, Literal

import typer

TargetName = Annotated[str, typer.Option("--target", "-t", help="Board to deploy to; `deploy targets` lists them.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout; progress goes to stderr.")]
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
