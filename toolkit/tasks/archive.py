"""Arrays of a `.npz`: mapped from the file where they lie there uncompressed, else read."""

import contextlib
import struct
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

from toolkit.errors import BadInput, first_line

SAVE_IT = "Save it with numpy.savez(x=..., y=...)."
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
_PIECE = 2**20


def array_names(path: Path) -> list[str]:
    """What the archive holds. Raises BadInput for a file that is no archive."""
    with _refusing(path), np.load(path, allow_pickle=False) as archive:
        return list(archive.files)


def read_arrays(path: Path, names: Collection[str]) -> dict[str, np.ndarray]:
    """Those of `names` that it holds, whole and undamaged; mapped ones can be read only.

    Raises BadInput for arrays of Python objects, and for anything that NumPy cannot read.
    """
    with _refusing(path), np.load(path, allow_pickle=False) as archive:
        found = [name for name in archive.files if name in names]
        mapped = {name: _mapped(path, f"{name}.npy") for name in found}
        return {name: np.asarray(archive[name]) if array is None else array for name, array in mapped.items()}


@contextlib.contextmanager
def _refusing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BadInput(
            f"cannot be read: {error.strerror or first_line(error)}", where=str(path), next=SAVE_IT
        ) from None
    except Exception as error:  # zipfile, zlib and NumPy raise a dozen kinds on damaged bytes
        if "allow_pickle" in str(error):
            raise BadInput(
                "holds an array of Python objects, which is not unpickled",
                where=str(path),
                next="Save names as y.astype(str), and numbers as an array of one dtype.",
            ) from None
        raise BadInput("is no archive of plain arrays", where=str(path), next=SAVE_IT) from None


def _mapped(path: Path, member: str) -> np.ndarray | None:
    """None of what has to be read: it is compressed, empty, or nothing that can be mapped."""
    with zipfile.ZipFile(path) as archive, path.open("rb") as file:
        if member not in archive.NameToInfo or archive.getinfo(member).compress_type != zipfile.ZIP_STORED:
            return None
        info = archive.getinfo(member)
        with archive.open(info) as whole:  # at its end zipfile compares the checksum
            while whole.read(_PIECE):
                pass
        file.seek(info.header_offset)
        name_bytes, extra_bytes = struct.unpack("<26xHH", file.read(30))
        begins = file.seek(name_bytes + extra_bytes, 1)
        version = np.lib.format.read_magic(file)
        if version not in _HEADERS:
            return None
        shape, is_fortran, dtype = _HEADERS[version](file)
        length = dtype.itemsize * int(np.prod(shape, dtype=object))
        if dtype.hasobject or length == 0 or file.tell() - begins + length != info.file_size:
            return None
        return np.memmap(path, dtype, "r", file.tell(), shape, "F" if is_fortran else "C")
