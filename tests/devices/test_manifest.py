"""A manifest is parsed whole or refused with what is wrong; no name leaves its folder."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from workplace import bundle

from toolkit.devices.releases.manifest import parse_manifest, read_local
from toolkit.errors import BadInput

ENTRY = {"sha256": "0" * 64, "bytes": 1}


def manifest(**changes: Any) -> bytes:
    return json.dumps({"manifest_version": 3, "arch": "any", "files": {"infer.pte": ENTRY}} | changes).encode()


def test_a_good_one_keeps_what_the_agent_needs() -> None:
    parsed = parse_manifest(manifest(runtime="executorch"), "m")
    assert parsed.files["infer.pte"].bytes == 1
    assert (parsed.model_extra or {})["runtime"] == "executorch"


@pytest.mark.parametrize(
    "name", ["../escape", "/etc/passwd", "a/b", "", ".", "..", ".hidden", "a\nb", "a b", "-rf", "$(reboot)", "x" * 101]
)
def test_a_name_that_leaves_the_folder_or_means_something_to_a_shell_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match="files"):
        parse_manifest(manifest(files={name: ENTRY}), "m")


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"files": {}}, "files"),
        ({"files": {"a": {"sha256": "0" * 63, "bytes": 1}}}, "sha256"),
        ({"files": {"a": {"sha256": "0" * 64, "bytes": -1}}}, "bytes"),
        ({"manifest_version": 1}, "manifest_version"),
        ({"arch": "z80"}, "arch"),
        ({"files": {"manifest.json": ENTRY}}, "itself"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, Any], what: str) -> None:
    with pytest.raises(BadInput, match=what) as caught:
        parse_manifest(manifest(**changes), "m")
    assert caught.value.where == "m"
    assert "\n" not in caught.value.what


@given(st.binary() | st.text().map(str.encode))
@example(b"[" * 100_000)
@example(b"1" * 5000)
@example(b'{"files": {"\xff": 1}}')
def test_any_bytes_are_a_manifest_or_bad_input(text: bytes) -> None:
    with suppress(BadInput):
        parse_manifest(text, "m")


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(max_size=8), v, max_size=3),
)


@given(st.fixed_dictionaries({}, optional={"manifest_version": values, "arch": values, "files": values}))
def test_any_json_is_a_manifest_or_bad_input(fields: dict[str, Any]) -> None:
    with suppress(BadInput):
        parsed = parse_manifest(manifest(**fields), "m")
        assert all("/" not in name for name in parsed.files)


def test_a_folder_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        read_local(tmp_path)
    made, digest = bundle(tmp_path / "one")
    assert read_local(made)[0] == digest
    (made / "infer.onnx").unlink()
    with pytest.raises(BadInput, match=r"infer\.onnx is missing"):
        read_local(made)
