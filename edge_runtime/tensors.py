"""Arrays in a safetensors file: eight bytes of length, a JSON header, then the raw values. Nothing is unpickled."""

import hashlib
import json
import os
from collections.abc import Mapping

import numpy as np

_TYPES: "dict[str, np.dtype]" = {
    "F32": np.dtype("<f4"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "BOOL": np.dtype("?"),
}
_ALIGNMENT = 8
_DIGEST = "sha256"


def read_arrays(path: str) -> "dict[str, np.ndarray]":
    """All arrays of the file. Raises ValueError if it is not one, cut short, or other than was written."""
    with open(path, "rb") as file:
        data = file.read()
    start = 8 + int.from_bytes(data[:8], "little")
    if len(data) < 8 or start > len(data):
        raise ValueError("not a safetensors file: " + path)
    arrays = {}  # type: dict[str, np.ndarray]
    header = json.loads(data[8:start])
    said = header.pop("__metadata__", {}).get(_DIGEST)
    if said is not None and said != _digest(header, data[start:]):
        raise ValueError("damaged: " + path)
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        dtype = _TYPES[entry["dtype"]]
        if not 0 <= begin <= end <= len(data) - start:
            raise ValueError("cut short: " + path)
        values = np.frombuffer(data, dtype, (end - begin) // dtype.itemsize, start + begin)
        arrays[name] = values.reshape(entry["shape"]).copy()
    return arrays


def write_arrays(path: str, arrays: "dict[str, np.ndarray]") -> None:
    """Appear by one rename, after the bytes are on the disk, with a digest that `read_arrays` holds them to."""
    header, parts, end = {}, [], 0
    for name, array in arrays.items():
        kind = next(key for key, dtype in _TYPES.items() if dtype == array.dtype)
        part = np.ascontiguousarray(array).tobytes()
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [end, end + len(part)]}
        parts.append(part)
        end += len(part)
    told = {"__metadata__": {_DIGEST: _digest(header, b"".join(parts))}, **header}
    text = json.dumps(told).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    temporary = path + ".part"
    with open(temporary, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text + b"".join(parts))
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def _digest(header: "Mapping[str, object]", values: bytes) -> str:
    return hashlib.sha256(json.dumps(header, sort_keys=True).encode() + values).hexdigest()
