"""A `.npz` is mapped where it can be, read where it cannot, and never believed with a wrong checksum."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from toolkit.errors import BadInput
from toolkit.tasks.archive import array_names, read_arrays

_X = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)


@pytest.mark.parametrize(
    "array",
    [_X, np.asfortranarray(_X), _X.astype(">i4"), _X.astype(np.float64), np.array(["a", "bc"])],
    ids=["bytes", "by columns", "big-endian", "doubles", "names"],
)
def test_what_lies_there_uncompressed_is_mapped(tmp_path: Path, array: np.ndarray) -> None:
    np.savez(tmp_path / "a.npz", other=np.zeros(3), x=array)
    found = read_arrays(tmp_path / "a.npz", ("x",))
    assert list(found) == ["x"]
    assert isinstance(found["x"], np.memmap)
    assert not found["x"].flags.writeable
    assert found["x"].dtype == array.dtype
    assert found["x"].tolist() == array.tolist()


def test_what_is_compressed_or_empty_is_read(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", x=_X)
    np.savez(tmp_path / "b.npz", x=_X[:0])
    for name, wanted in (("a.npz", _X), ("b.npz", _X[:0])):
        found = read_arrays(tmp_path / name, ("x",))["x"]
        assert not isinstance(found, np.memmap)
        assert (found.shape, found.tolist()) == (wanted.shape, wanted.tolist())


def test_an_archive_behind_something_else_is_mapped_where_it_begins(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=_X)
    (tmp_path / "b.npz").write_bytes(b"PK\x03\x04" + b"what a downloader wrote" + (tmp_path / "a.npz").read_bytes())
    found = read_arrays(tmp_path / "b.npz", ("x",))["x"]
    assert isinstance(found, np.memmap)
    assert found.tolist() == _X.tolist()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_byte_that_changed_is_noticed(tmp_path: Path, save: object) -> None:
    path = tmp_path / "a.npz"
    save(path, x=np.arange(1000, dtype=np.uint8))  # type: ignore[operator]
    with zipfile.ZipFile(path) as archive:
        at = archive.getinfo("x.npy").header_offset + 300
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    with pytest.raises(BadInput, match="is no archive of plain arrays"):
        read_arrays(path, ("x",))


def test_names_are_those_of_all_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=_X, labels=_X)
    assert array_names(tmp_path / "a.npz") == ["x", "labels"]
    assert read_arrays(tmp_path / "a.npz", ("y",)) == {}
