"""Signed deployments as a user makes them."""

from openssh import make_key
from workplace import RUN, Workplace, one_object, refusal


def test_a_board_that_trusts_a_key_takes_what_it_signed_and_nothing_else(measured_place: Workplace) -> None:
    place = measured_place
    key = make_key(place.folder / "release-key")
    trusted = place.deploy("trust", f"{key}.pub", "--target", "desk")
    assert trusted.returncode == 0, trusted.stderr
    assert "only releases that a trusted key signed" in trusted.stdout
    again = place.deploy("trust", f"{key}.pub", "--target", "desk", "--json")
    assert one_object(again.stdout) == {"target": "desk", "trusted": f"{key}.pub"}

    unsigned = place.deploy(*RUN)
    assert unsigned.returncode == 3
    assert "is not signed" in refusal(unsigned)
    assert place.releases()["current"] is None

    signed = place.deploy(*RUN, "--set", f"release.sign={key}")
    assert signed.returncode == 0, signed.stderr
    status = one_object(place.deploy("status", "--target", "desk", "--json").stdout)
    assert (status["healthy"], status["signatures_demanded"], status["held_by"]) == (True, True, None)
    assert place.releases()["current"] == status["current"]


def test_a_key_that_cannot_sign_is_said_before_the_work(place: Workplace) -> None:
    done = place.deploy(*RUN, "--set", "release.sign=absent")
    assert done.returncode == 2
    assert "no such file" in refusal(done)
    assert "· load" not in done.stderr


def test_what_is_no_key_to_trust_is_said_before_anything_is_made(place: Workplace) -> None:
    (place.folder / "rubbish.pub").write_text("rubbish\n")
    for key in ("absent.pub", "rubbish.pub"):
        done = place.deploy("trust", key, "--target", "desk")
        assert done.returncode == 2
        assert key in refusal(done)
    assert not place.root.exists()


def test_unlocking_a_board_that_nobody_holds(place: Workplace) -> None:
    assert place.deploy("unlock", "--target", "desk").stdout == "desk is not locked.\n"
