"""Write what a release serves as files that stock ONNX Runtime loads as they lie; nothing is led to them yet."""

import os

from edge_runtime.plain import write_plain
from edge_runtime.served import state_of_release


def plain(spec, emit):  # type: ignore[no-untyped-def]
    """`spec`: root, digest."""
    return {"folder": os.path.relpath(write_plain(state_of_release(spec["root"], spec["digest"])), spec["root"])}
