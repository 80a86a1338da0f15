"""The agent's verbs: `facts`, `bring_in`, `bench`, `infer`, `verify`, `plain`, `adapt`."""

import json
import sys
import traceback


def main(arguments: "list[str]") -> int:
    """Run one verb with its JSON specification; the last line says `done`, or `error` with what went wrong."""
    verb = arguments[0]
    spec = {}
    if len(arguments) > 1:
        with open(arguments[1], encoding="utf-8") as file:
            spec = json.load(file)
    try:
        emit("done", **_verb(verb)(spec, emit))
    except Exception as error:  # the host shows it: an agent has no other way to say what happened
        emit("error", kind=type(error).__name__, message=str(error)[:2000], trace=traceback.format_exc()[-4000:])
        return 1
    return 0


def emit(event: str, **fields: object) -> None:
    """Print one line for the host."""
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


def _verb(name):  # type: ignore[no-untyped-def]
    # Each verb imports what it needs itself, so that `facts` works on a board without NumPy.
    if name == "facts":
        from .facts import facts

        return lambda spec, emit: facts()
    if name == "bring_in":
        from edge_runtime.program import bring_in

        return lambda spec, emit: {"version": bring_in(spec["runtime"])}
    if name == "bench":
        from .bench import bench

        return bench
    if name == "infer":
        from .infer import infer

        return infer
    if name == "verify":
        from .verify import verify

        return verify
    if name == "plain":
        from .plain import plain

        return plain
    if name == "adapt":
        from .adapt import adapt

        return adapt
    raise ValueError("unknown verb: " + name)
