"""What people write to name a board's address."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.destination import FORM, Destination, parse_destination
from toolkit.errors import BadInput


@pytest.mark.parametrize(
    ("text", "destination"),
    [
        ("board", Destination("board")),
        ("pi@192.168.1.23", Destination("192.168.1.23", "pi")),
        ("pi@raspberrypi.local:2222", Destination("raspberrypi.local", "pi", 2222)),
        ("host:22", Destination("host", None, 22)),
        ("[::1]", Destination("::1")),
        ("::1", Destination("::1")),
        ("pi@[fe80::1%eth0]:22", Destination("fe80::1%eth0", "pi", 22)),
        ("pi@fe80::1%eth0", Destination("fe80::1%eth0", "pi")),
        ("ssh://pi@host:22", Destination("host", "pi", 22)),
        ("ssh://[::1]:22/", Destination("::1", None, 22)),
        ("me@corp.example@host", Destination("host", "me@corp.example")),
        (" my_board ", Destination("my_board")),
    ],
)
def test_a_destination(text: str, destination: Destination) -> None:
    assert parse_destination(text) == destination


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "@",
            "user@",
            "@host",
            "a b",
            "host:",
            "host:0",
            "host:65536",
            "host:x",
            "[::1",
            "-oProxyCommand=x",
            "a;b",
        ),
        *("-l@host", "http://host", "host/path", "$(id)@host", "ho\x07st", "pi\x1b@host", "host\nother", "[::1]x"),
    ],
)
def test_what_names_no_host_is_bad_input_that_says_the_form(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_destination(text)
    assert FORM in str(caught.value.next)


@given(st.text())
def test_any_text_is_a_destination_or_bad_input(text: str) -> None:
    try:
        found = parse_destination(text)
    except BadInput:
        return
    assert not found.host.startswith("-")
    assert found.host in text


_HOSTS = st.one_of(st.ip_addresses().map(str), st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?", fullmatch=True))


@given(_HOSTS, st.none() | st.from_regex(r"[a-z_][a-z0-9_-]{0,10}", fullmatch=True), st.none() | st.integers(1, 65535))
def test_what_a_destination_prints_names_it_again(host: str, user: str | None, port: int | None) -> None:
    destination = Destination(host, user, port)
    assert parse_destination(str(destination)) == destination
