"""Target files: every shipped one parses, every bad one says all that is wrong with it."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from toolkit.errors import BadInput
from toolkit.shipped import shipped_folder
from toolkit.targets import Target, expand_path, load_target, read_target, target_files

SHIPPED = sorted(path.stem for path in shipped_folder("targets").glob("*.toml"))

GOOD = """
name = "{name}"
summary = "a board"
arch = "aarch64"
runtimes = ["onnxruntime"]
[connection]
transport = "local"
"""


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_target_parses(name: str) -> None:
    target = load_target(name)
    assert target.name == name
    assert target.rank_multiple % 4 == 0
    assert target.verified or target.summary.endswith("not verified on hardware")
    assert target.verified or target.sources


def test_the_expected_boards_are_shipped() -> None:
    assert {"host", "emulated-pi", "raspberry-pi-5", "raspberry-pi-4", "jetson-orin", "android-arm64"} <= set(SHIPPED)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("raspberrypi5", "raspberry-pi-5"),
        ("jetson", "jetson-orin"),
        ("emulatedpi", "emulated-pi"),
        ("hots", "host"),
    ],
)
def test_an_unknown_name_suggests_near_names(typed: str, meant: str) -> None:
    with pytest.raises(BadInput, match=f"unknown target '{typed}'") as caught:
        load_target(typed)
    assert meant in str(caught.value.next)


def test_a_file_with_three_errors_lists_all_three(tmp_path: Path) -> None:
    path = tmp_path / "three.toml"
    path.write_text(GOOD.format(name="three").replace("aarch64", "mips") + "port = 70000\n[budget]\ndute = 0.5\n")
    with pytest.raises(BadInput) as caught:
        read_target(path)
    assert caught.value.where == str(path)
    assert all(field in caught.value.what for field in ("arch: ", "connection.port: ", "budget.dute: "))


def test_the_working_folder_overrides_a_shipped_target_and_adds_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "targets").mkdir()
    (tmp_path / "targets" / "host.toml").write_text(GOOD.format(name="host"))
    (tmp_path / "targets" / "mine.toml").write_text(GOOD.format(name="mine"))
    assert load_target("host").summary == "a board"
    assert load_target("mine").summary == "a board"
    assert set(SHIPPED) | {"mine"} == set(target_files())


def test_a_name_that_is_not_the_files_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "one.toml").write_text(GOOD.format(name="other"))
    with pytest.raises(BadInput, match="name is 'other'"):
        read_target(tmp_path / "one.toml")


def test_a_file_that_is_no_text_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    for name in ("bytes.toml", "absent.toml", "."):
        with pytest.raises(BadInput):
            read_target(tmp_path / name)


KEYS = st.sampled_from([*Target.model_fields, "connection.host", "connection.port", "budget.duty", '"', "x"])
VALUES = st.one_of(
    st.integers().map(str),
    st.floats().map(str),
    st.sampled_from(["[]", "{}", "true", "'local'", "1979-05-27", "1979-13-99", "[[", '"\\q"', "0x", "'''", "nan"]),
    st.text(max_size=8).map(lambda text: f'"{text}"'),
)
LINES = st.one_of(
    st.tuples(KEYS, VALUES).map(" = ".join),
    st.sampled_from(GOOD.format(name="fuzz").splitlines()),
    st.sampled_from(["[connection]", "[budget]", "[[connection]]", "[", "# x", "[name]"]),
    st.text(max_size=20),
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(LINES, max_size=14).map("\n".join))
@example(GOOD.format(name="fuzz"))
@example("x = " + "1" * 5000)
@example("x = " + "[" * 5000)
def test_any_text_parses_or_is_bad_input(tmp_path: Path, text: str) -> None:
    path = tmp_path / "fuzz.toml"
    path.write_bytes(text.encode(errors="surrogatepass"))
    with suppress(BadInput):
        assert read_target(path).name == "fuzz"


def test_paths_expand_home_and_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("EDGE_DEPLOY_CACHE", str(tmp_path / "cache"))
    assert expand_path("~/.ssh/known_hosts") == tmp_path / "home" / ".ssh" / "known_hosts"
    assert not (tmp_path / "cache").exists()
    assert expand_path("{cache}/lab/key") == tmp_path / "cache" / "lab" / "key"
