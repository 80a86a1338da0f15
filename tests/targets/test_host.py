"""What `--host` takes, and what of a target stays as it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import BadInput
from toolkit.targets import AdbPlace, LocalPlace, Place, SerialPlace, SshPlace, load_target, place_at

PI = SshPlace(host="raspberrypi.local", port=2222, user="me", identity_file="~/.ssh/pi", proxy_jump="gate")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("pi@192.168.1.23", SshPlace(host="192.168.1.23", user="pi")),
        ("board:2222", SshPlace(host="board", port=2222)),
        ("ssh://pi@[fe80::1%eth0]:22", SshPlace(host="fe80::1%eth0", user="pi", port=22)),
        ("adb:R5CT10ABCDE", AdbPlace(serial="R5CT10ABCDE")),
        ("adb:192.168.1.7:5555", AdbPlace(serial="192.168.1.7:5555")),
        ("/dev/ttyUSB0", SerialPlace(device="/dev/ttyUSB0")),
        ("socket://127.0.0.1:4000", SerialPlace(device="socket://127.0.0.1:4000")),
    ],
)
def test_an_address_names_a_place(text: str, place: Place) -> None:
    assert place_at(text) == place


@pytest.mark.parametrize(
    ("text", "usual", "place"),
    [
        ("10.0.0.5", PI, PI.model_copy(update={"host": "10.0.0.5", "port": None})),
        ("pi@10.0.0.5:22", PI, PI.model_copy(update={"host": "10.0.0.5", "port": 22, "user": "pi"})),
        ("10.0.0.5", AdbPlace(serial="R5CT"), AdbPlace(serial="10.0.0.5")),
        ("192.168.1.7:5555", AdbPlace(), AdbPlace(serial="192.168.1.7:5555")),
        ("me@10.0.0.5", AdbPlace(), SshPlace(host="10.0.0.5", user="me")),
        ("adb:R5CT", PI, AdbPlace(serial="R5CT")),
        (
            "/dev/ttyUSB1",
            SerialPlace(device="/dev/ttyUSB0", baud=9600, user="root"),
            SerialPlace(device="/dev/ttyUSB1", baud=9600, user="root"),
        ),
    ],
)
def test_what_an_address_leaves_open_is_as_usual(text: str, usual: Place, place: Place) -> None:
    assert place_at(text, usual) == place


@pytest.mark.parametrize(
    "text", ["", " ", "adb:", "adb:a b", "user@", "-oProxyCommand=x", "host:0", "http ://x", "http://x"]
)
def test_what_names_no_board_is_bad_input(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        place_at(text)
    assert caught.value.next


def test_this_machine_has_no_other_address() -> None:
    with pytest.raises(BadInput) as caught:
        place_at("pi@10.0.0.5", LocalPlace())
    assert "--target FAMILY --host pi@10.0.0.5" in str(caught.value.next)


@given(st.text(), st.sampled_from([None, PI, AdbPlace(), SerialPlace(device="/dev/ttyS0")]))
def test_any_text_names_a_place_or_is_bad_input(text: str, usual: Place | None) -> None:
    try:
        place = place_at(text, usual)
    except BadInput:
        return
    assert str(place).isprintable()


def test_a_family_is_deployed_to_at_another_address() -> None:
    target, usual = load_target("raspberry-pi-5", "pi@192.168.1.23"), load_target("raspberry-pi-5")
    assert target.place == SshPlace(host="192.168.1.23", user="pi")
    assert (usual.place_is_default, target.place_is_default) == (True, False)
    assert target.model_copy(update={"place": usual.place}) == usual


@pytest.mark.parametrize("name", ["pi@192.168.1.5", "192.168.1.5", "jetson.local", "adb:R5CT", "/dev/ttyUSB0"])
def test_an_address_for_a_target_is_answered_with_what_to_write(name: str) -> None:
    with pytest.raises(BadInput, match="address") as caught:
        load_target(name)
    assert f"deploy connect {name}" in str(caught.value.next)
    assert f"--host {name}" in str(caught.value.next)
