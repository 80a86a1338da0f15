"""A report that can be sent: it keeps what a board is, and nothing of whose it is."""

import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from toolkit.contact.diagnose import Diagnosis
from toolkit.contact.report import report
from toolkit.devices.survey import Check
from toolkit.targets import SshPlace, load_family, usual_target

WORDS = st.from_regex(r"[a-z][a-z0-9]{5,12}x", fullmatch=True)
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def sent(place: SshPlace, *found: str) -> str:
    target = usual_target(load_family("generic-arm64"), place)
    return json.dumps(report(Diagnosis(target, tuple(Check("login", False, each) for each in found)), NOW))


@given(host=WORDS, user=WORDS, folder=WORDS)
def test_names_of_hosts_users_and_homes_are_left_out(host: str, user: str, folder: str) -> None:
    place = SshPlace(host=f"{host}.example", user=user, identity_file=f"/keys/{folder}")
    text = sent(
        place,
        f"refuses user '{user}' with /keys/{folder} (locked by a passphrase)",
        f"cannot reach {host}.example: no answer ({user}@{host}.example:22)",
        f"/home/{folder}/edge is full",
    )
    assert host not in text
    assert user not in text
    assert folder not in text


@given(st.ip_addresses())
def test_addresses_and_keys_are_left_out(address: object) -> None:
    text = sent(SshPlace(host="kitchen"), f"answers from {address}", "shows SHA256:uNiVztksCsDhcc0u9e8BrwaXRGJ2pFfXLe4")
    assert str(address) not in text
    assert "uNiVz" not in text


def test_what_the_board_is_stays() -> None:
    text = sent(SshPlace(host="kitchen"), "needs glibc 2.28, has glibc 2.27; Python 3.10.12")
    assert "glibc 2.27; Python 3.10.12" in text
    assert "generic-arm64" in text
