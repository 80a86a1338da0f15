"""Write what a release serves as files that stock ONNX Runtime loads as they lie; nothing is led to them yet."""

import os

from edge_runtime.learned import changing
from edge_runtime.plain import sweep, write_plain
from edge_runtime.served import state_of_release


def plain(spec, emit):  # type: ignore[no-untyped-def]
    """`spec`: root, digest."""
    root = spec["root"]
    with changing(root):
        served = state_of_release(root, spec["digest"])
        folder = write_plain(served, served.adapted if served.state else None)
        if folder:
            sweep(served)
    return {"folder": os.path.relpath(folder, root) if folder else None}
