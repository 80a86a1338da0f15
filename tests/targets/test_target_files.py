"""Target files: every shipped one parses, every bad one says all that is wrong with it."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from toolkit.errors import BadInput
from toolkit.shipped import shipped_folder
from toolkit.targets import (
    AdbPlace,
    Family,
    LocalPlace,
    Place,
    SerialPlace,
    SshPlace,
    Target,
    expand_path,
    load_target,
    read_entry,
    read_target,
    target_files,
)

SHIPPED = sorted(path.stem for path in shipped_folder("targets").glob("*.toml"))

GOOD = """
name = "{name}"
summary = "a board"
arch = "aarch64"
runtimes = ["onnxruntime"]
[place]
transport = "local"
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of the user's own, to be written."""
    (tmp_path / "targets").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "targets" / "mine.toml"


def shipped(name: str) -> Target:
    """A shipped family's board; a generic one has no usual place."""
    return load_target(name, "board" if name.startswith("generic-") else None)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_target_parses(name: str) -> None:
    target = shipped(name)
    assert target.name == name
    assert target.threads == 1
    assert target.family.rank_multiple % 4 == 0
    assert target.family.verified or target.summary.endswith("not verified on hardware")
    assert target.family.verified or target.family.sources


@pytest.mark.parametrize("name", SHIPPED)
def test_no_shipped_target_knows_who_logs_in_on_a_board_of_the_users(name: str) -> None:
    assert getattr(shipped(name).place, "user", None) is None


def test_a_file_names_its_family_and_says_only_what_differs(mine: Path) -> None:
    mine.write_text(
        'family = "raspberry-pi-5"\nthreads = 4\npython = "~/venv/bin/python"\n'
        '[place]\ntransport = "ssh"\nhost = "192.168.1.23"\nuser = "pi"\n[budget]\nduty = 0.25\n'
    )
    target, usual = load_target("mine"), load_target("raspberry-pi-5")
    assert target.place == SshPlace(host="192.168.1.23", user="pi")
    assert not target.place_is_default
    assert usual.place_is_default
    assert target.family == usual.family
    assert (target.threads, target.python, target.root) == (4, "~/venv/bin/python", usual.root)
    assert (target.budget.duty, target.budget.rate_hz) == (0.25, usual.budget.rate_hz)


def test_all_that_is_wrong_is_told_beside_an_unknown_family(mine: Path) -> None:
    mine.write_text('family = "rasberry-pi5"\nthreads = 0\n[place]\ntransport = "ssh"\nport = 0\n')
    with pytest.raises(BadInput) as caught:
        load_target("mine")
    wanted = ("family: ", "raspberry-pi-5", "threads: ", "place.host: ", "place.port: ")
    assert [word for word in wanted if word not in caught.value.what] == []


def test_a_broken_family_of_another_does_not_stand_in_the_way(mine: Path) -> None:
    mine.with_name("host.toml").write_text("arch = 3")
    place = '[place]\ntransport = "local"\n'
    mine.write_text(f'family = "rapsberry-pi-5"\n{place}')
    with pytest.raises(BadInput, match="Did you mean raspberry-pi-5"):
        read_target(mine)
    mine.write_text(f'family = "raspberry-pi-5"\n{place}')
    assert read_target(mine).family.name == "raspberry-pi-5"


@pytest.mark.parametrize("family", ["[]", '["host"]', "{ name = 'host' }", "3", "true"])
def test_a_family_that_is_no_name_is_told_with_what_else_is_wrong(mine: Path, family: str) -> None:
    mine.write_text(f"family = {family}\nroot = '/'\nplace = {{ transport = 'adb' }}\n")
    with pytest.raises(BadInput, match="family") as caught:
        load_target("mine")
    assert "root: must" in caught.value.what


def test_a_folder_in_a_files_place_is_told(mine: Path) -> None:
    mine.mkdir()
    with pytest.raises(BadInput, match="directory") as caught:
        load_target("mine")
    assert caught.value.where == "targets/mine.toml"


def test_a_board_may_bear_the_name_of_its_family(mine: Path) -> None:
    mine.with_name("raspberry-pi-5.toml").write_text(
        'family = "raspberry-pi-5"\n[place]\ntransport = "ssh"\nhost = "pi5"\n'
    )
    target = load_target("raspberry-pi-5")
    assert target.place == SshPlace(host="pi5")
    assert target.family.place != target.place


def test_a_board_is_no_family_of_other_boards(mine: Path) -> None:
    mine.write_text('family = "raspberry-pi-5"\n[place]\ntransport = "adb"\n')
    mine.with_name("other.toml").write_text('family = "mine"\n[place]\ntransport = "adb"\n')
    with pytest.raises(BadInput, match="unknown family 'mine'"):
        load_target("other")


def test_a_family_without_a_place_asks_for_one(mine: Path) -> None:
    mine.write_text('summary = "any board"\narch = "aarch64"\nruntimes = ["executorch"]\n')
    with pytest.raises(BadInput) as caught:
        load_target("mine")
    assert "--host" in str(caught.value.next)
    assert load_target("mine", "pi@board").place == SshPlace(host="board", user="pi")


@pytest.mark.parametrize("family", ["", 'family = "raspberry-pi-5"\n'])
def test_a_file_of_before_is_told_what_to_write(mine: Path, family: str) -> None:
    mine.write_text(family + GOOD.format(name="mine").replace("[place]", "[connection]"))
    with pytest.raises(BadInput, match="connection: write \\[place\\]"):
        load_target("mine")


@pytest.mark.parametrize(
    ("place", "shown"),
    [
        (LocalPlace(), "this machine"),
        (SshPlace(host="::1", user="pi", port=2222), "ssh pi@[::1]:2222"),
        (AdbPlace(), "adb"),
        (AdbPlace(serial="R5CT"), "adb R5CT"),
        (SerialPlace(device="/dev/ttyUSB0"), "console /dev/ttyUSB0"),
    ],
)
def test_a_place_shows_its_address(place: Place, shown: str) -> None:
    assert str(place) == shown


def test_the_expected_boards_are_shipped() -> None:
    assert {
        "host",
        "emulated-pi",
        "emulated-pi-5",
        "raspberry-pi-5",
        "raspberry-pi-4",
        "jetson-orin",
        "android-arm64",
    } <= set(SHIPPED)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("raspberrypi5", "raspberry-pi-5"),
        ("jetson", "jetson-orin"),
        ("emulatedpi", "emulated-pi"),
        ("hots", "host"),
        ("raspberry-pi-5.toml", "raspberry-pi-5"),
    ],
)
def test_an_unknown_name_suggests_near_names(typed: str, meant: str) -> None:
    with pytest.raises(BadInput, match=f"no target is named '{typed}'") as caught:
        load_target(typed)
    assert meant in str(caught.value.next)


def test_a_file_with_three_errors_lists_all_three(tmp_path: Path) -> None:
    path = tmp_path / "three.toml"
    path.write_text(
        GOOD.format(name="three").replace("aarch64", "mips").replace("local", "ssh")
        + "port = 70000\n[budget]\ndute = 0.5\n"
    )
    with pytest.raises(BadInput) as caught:
        read_target(path)
    assert caught.value.where == str(path)
    assert all(field in caught.value.what for field in ("arch: ", "place.port: ", "budget.dute: "))


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
    with pytest.raises(BadInput, match="name: 'other'"):
        read_target(tmp_path / "one.toml")


def test_a_file_that_is_no_text_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    for name in ("bytes.toml", "absent.toml", "."):
        with pytest.raises(BadInput):
            read_target(tmp_path / name)


KEYS = st.sampled_from(
    [*Family.model_fields, "family", "place.host", "place.port", "place.transport", "budget.duty", '"', "x"]
)
VALUES = st.one_of(
    st.integers().map(str),
    st.floats().map(str),
    st.sampled_from(["[]", "{}", "true", "'local'", "1979-05-27", "1979-13-99", "[[", '"\\q"', "0x", "'''", "nan"]),
    st.text(max_size=8).map(lambda text: f'"{text}"'),
)
LINES = st.one_of(
    st.tuples(KEYS, VALUES).map(" = ".join),
    st.sampled_from(GOOD.format(name="fuzz").splitlines()),
    st.sampled_from(["[place]", "[budget]", "[[place]]", 'family = "host"', "[", "# x", "[name]"]),
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
        assert read_entry(path).name == "fuzz"


def test_paths_expand_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert expand_path("~/.ssh/known_hosts") == tmp_path / "home" / ".ssh" / "known_hosts"
