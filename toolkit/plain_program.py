"""A board's release as one plain file: every hole filled, for those who want no library of ours."""

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_runtime.classes import Rows, rows_of_classes
from edge_runtime.release import fill_holes, load_tensors
from toolkit.devices.home import Home
from toolkit.devices.releases.fetch import fetch, fetch_learned, opened
from toolkit.errors import BadInput, BoardError
from toolkit.runtimes import RUNTIMES
from toolkit.runtimes.bundle import TENSORS


@dataclass(frozen=True)
class PlainProgram:
    """A file that stock ONNX Runtime or ExecuTorch loads. Ports are dicts of name, dtype and shape of one example.

    `classes` has a name a value of the first output, None where that is of no class yet.
    """

    release: str
    runtime: str
    adapted: bool
    bytes: int
    inputs: list[dict[str, Any]]
    outputs: list[dict[str, Any]]
    classes: Rows


def write_plain(home: Home, to: Path, *, release: str | None = None, adapted: bool = False) -> PlainProgram:
    """Write what the board serves to `to`, or its `release` whose digest begins so; `adapted` with what it has learned.

    Nothing is changed on the board. Raises BadInput for a name with another ending than the runtime's programs have, a
    release that is not there and one that learned nothing; BoardError for a damaged one.
    """
    with opened(home, release) as found:
        digest, manifest, folder = found.digest, found.manifest, found.folder
        runtime, program = RUNTIMES[manifest["runtime"]], manifest["infer"]["program"]
        if to.suffix != runtime.suffix:
            raise BadInput(
                f"release {digest[:12]} is for {runtime.name}, whose files end with {runtime.suffix}",
                where=f"--to {to}",
                next=f"Give a name that ends with {runtime.suffix}.",
            )
        fetch(home, found.releases, digest, [program, TENSORS], folder)
        learned = fetch_learned(home, digest, folder) if adapted else None
        try:
            tensors = load_tensors(str(folder), str(learned) if learned else None)
            values = fill_holes(manifest, tensors)
            rows = rows_of_classes(manifest, tensors)
            told = {"classes": json.dumps(rows), "release": digest, "adapted": json.dumps(adapted)}
            data = runtime.fill((folder / program).read_bytes(), manifest["infer"]["holes"], values, told)
        except (ValueError, KeyError) as error:
            raise BoardError(
                f"what fills release {digest[:12]} does not fit it: {error}",
                where=home.where,
                next="Run the deployment that made it again, with this version of the toolkit.",
            ) from None
    write_whole(to, data)
    return PlainProgram(digest, runtime.name, adapted, len(data), manifest["inputs"], manifest["outputs"], rows)


def write_whole(to: Path, data: bytes) -> None:
    """A file that a user names, whole or not at all. Raises BadInput."""
    part = to.with_name(f".{to.name}.part")
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(to)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise BadInput(
            f"cannot be written: {error.strerror or error}", where=f"--to {to}", next="Name another file."
        ) from None
