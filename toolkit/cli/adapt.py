"""`deploy adapt` lets a board learn from further examples, and undoes it."""

import json
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.table import Table

from edge_runtime.learning import MOST_SECONDS
from edge_runtime.profiles import DEFAULT
from toolkit.cli.arguments import quantity
from toolkit.cli.console import stderr, stdout
from toolkit.cli.options import AsJson, HostAddress, TargetName
from toolkit.cli.progress import progress_on
from toolkit.devices import Home, hold_deployed, visit_deployed
from toolkit.devices.releases import profiles
from toolkit.devices.releases.fetch import choose, has_learned
from toolkit.devices.releases.generations import read_generations
from toolkit.devices.releases.inventory import read_releases
from toolkit.devices.releases.learned import undo as undo_learning
from toolkit.errors import BadInput
from toolkit.learn_on_board import ClassesAsked, Learnt, OnBoard, learn_on_board
from toolkit.learned_state import give, go_to, switch_to
from toolkit.stages import Watch
from toolkit.targets import load_target
from toolkit.units import parse_bytes, parse_share

_BOARD = "board:"
EPILOG = (
    "Examples: [bold]deploy adapt --target host --support examples.npz[/bold], "
    "[bold]deploy adapt --target host --support board:/data/examples.npz --seconds 20[/bold], "
    "[bold]deploy adapt --target host --undo[/bold], [bold]deploy adapt --target host --list[/bold], "
    "[bold]deploy adapt --target host --profile anna[/bold]"
)


def adapt(
    target: TargetName = "host",
    host: HostAddress = None,
    support: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE",
            help="Folder class/*, .csv, .jsonl or .npz, as the task was; or board:PATH, an .npz that stays there.",
        ),
    ] = None,
    method: Annotated[
        Literal["auto", "prototype", "head", "cores"],
        typer.Option(help="A head made of the examples, a head trained, or cores and head; auto: what gains."),
    ] = "auto",
    add_class: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A class that it did not know; the release must have room for it."),
    ] = None,
    remove_class: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A class that it is to know no more.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Of training; else as usual for the network.")] = None,
    seconds: Annotated[
        float | None,
        typer.Option(min=0.1, help="It learns as much as these allow on the board, and keeps nothing after."),
    ] = None,
    max_forgetting: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE",
            help="It loses no more of what it knew before than this: 1%; else what the release was deployed with.",
        ),
    ] = None,
    memory: Annotated[
        str | None, typer.Option(metavar="BYTES", help="It keeps nothing where learning takes more memory: 32MB.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the order and noise of training.")] = 0,
    learned: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Serve what a board learned that serves the same: deploy pull.")
    ] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Serve what was served before the last learning.")] = False,
    generations: Annotated[
        bool, typer.Option("--list", help="Show what it learned, the newest few by number.")
    ] = False,
    to: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Serve generation N again; 0: as it was installed.")
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Of a user or site: serve what was learned for it, which is kept apart; what it learns now is for it.",
        ),
    ] = None,
    remove_profile: Annotated[
        str | None, typer.Option(metavar="NAME", help="Forget what was learned for that profile, which does not serve.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Let the board learn from further examples, starting from the release as installed; go back to what it served."""
    given = [support, learned, undo or None, generations or None, to, remove_profile]
    asked = sum(each is not None for each in given)
    if asked != 1 and not (asked == 0 and profile is not None):
        raise BadInput(
            "it learns from examples, or is given what was learned, or goes back, or lists it",
            where="deploy adapt",
            next="Give one of --support SOURCE, --learned FILE, --undo, --to N, --list, and --remove-profile NAME; "
            "or --profile NAME.",
        )
    if profile is not None and asked and support is None:
        raise BadInput(
            "a profile is switched to alone, or to learn for it from --support",
            where="--profile",
            next="Leave it out, or run the two one after the other.",
        )
    if (add_class or remove_class) and support is None:
        raise BadInput(
            "classes change as the board learns from --support",
            where="--add-class" if add_class else "--remove-class",
            next="Give examples of every class that there is to be.",
        )
    if seconds is not None and not seconds <= MOST_SECONDS:
        raise BadInput(f"{seconds} is more than {MOST_SECONDS}", where="--seconds", next="Give fewer.")
    board = load_target(target, host)
    if generations:
        with visit_deployed(board) as home:
            _list(board.name, choose(home, read_releases(home), None), home, as_json)
        return
    most, memory_bytes = (
        quantity("--max-forgetting", max_forgetting, parse_share),
        quantity("--memory", memory, parse_bytes),
    )
    told: dict[str, Any]
    with hold_deployed(board) as home:
        if profile is not None:
            digest = switch_to(home, board, profile, lambda text: stderr().print(text, markup=False))
            told = {"target": board.name, "release": digest, "adapted": has_learned(home, digest)}
            what = "with what it learned" if told["adapted"] else "as it was installed,"
            said = f"{board.name} serves release {digest[:12]} {what} for {profile}."
            if support is not None:  # whatever comes of that
                stderr().print(said, markup=False)
        if remove_profile is not None:
            digest = choose(home, read_releases(home), None)
            profiles.remove(home, digest, remove_profile)
            told = {"target": board.name, "release": digest, "removed": remove_profile}
            said = f"{board.name} has forgotten what it learned for {remove_profile}."
        elif to is not None:
            digest = go_to(home, board, to, lambda text: stderr().print(text, markup=False))
            told = {"target": board.name, "release": digest, "generation": to, "adapted": to > 0}
            what = f"with generation {to} of what it learned" if to else "as it was installed"
            said = f"{board.name} serves release {digest[:12]} {what}."
        elif learned is not None:
            state = give(home, board, learned, lambda text: stderr().print(text, markup=False))
            told = {"target": board.name, **asdict(state), "adapted": True}
            said = f"{board.name} serves release {state.release[:12]} with the {state.values:,} values of {learned}."
        elif undo:
            digest = choose(home, read_releases(home), None)
            left = undo_learning(home, digest)
            told = {"target": board.name, "release": digest, "adapted": left}
            what = "with what it had learned before" if left else "as it was installed"
            said = f"{board.name} serves release {digest[:12]} {what}."
        elif support is not None:
            with progress_on(stderr()) as progress, Watch(progress).stage("adapt"):
                found = learn_on_board(
                    home,
                    board,
                    OnBoard(support.removeprefix(_BOARD)) if support.startswith(_BOARD) else Path(support),
                    classes=ClassesAsked(add_class or (), remove_class or ()),
                    method=method,
                    steps=steps,
                    seconds=seconds,
                    max_forgetting=most,
                    memory_bytes=memory_bytes,
                    seed=seed,
                    on_note=progress.note,
                    on_progress=progress.advance,
                )
            told, said = {"target": board.name, **asdict(found)}, _said(board.name, found)
    if as_json:
        typer.echo(json.dumps(told | ({"profile": profile} if profile is not None else {})))
    else:
        stdout().print(said, markup=False)


def _list(board: str, digest: str, home: Home, as_json: bool) -> None:
    found, users = read_generations(home, digest), profiles.read_profiles(home, digest)
    if as_json:
        listed = {"generations": [asdict(each) for each in found], "profiles": users.names, "profile": users.active}
        typer.echo(json.dumps({"target": board, "release": digest, **listed}))
        return
    table = Table(title=f"{board}: what it learned on top of release {digest[:12]}")
    for column in ("generation", "learned, by the board's clock", "bytes", "state"):
        table.add_column(column)
    for each in found:
        learned = datetime.fromtimestamp(each.learned_s).isoformat(" ") if each.learned_s else "as it was installed"
        table.add_row(str(each.number), learned, f"{each.bytes:,}", "serves" if each.serves else "")
    stdout().print(table)
    others = ", ".join(name for name in users.names if name != users.active)
    if others or users.active != DEFAULT:
        more = f"; others: {others}" if others else ""
        stdout().print(f"It serves profile {users.active}{more}.", markup=False)


def _said(board: str, found: Learnt) -> str:
    held = found.held_out
    gained = (
        f"held-out {found.measure} {held['score_before']:.1%} -> {held['score_after']:.1%}, "
        f"loss {held['loss_before']:.3g} -> {held['loss_after']:.3g}"
        if held
        else "nothing could be held out"
    )
    if found.method == "prototype":
        gained += ", by a head made anew of them"
    verdict = (
        "and serves it: `deploy adapt --undo` goes back" if found.accepted else f"and did not take it: {found.reason}"
    )
    known = found.guard
    kept = (
        f"; of what it knew before, {known['score_before']:.1%} -> {known['score_after']:.1%} "
        f"on {known['examples']} examples"
        if known and known["score_after"] is not None
        else ""
    )
    return f"{board} learned from {found.examples} examples ({gained}{kept}) {verdict}."
