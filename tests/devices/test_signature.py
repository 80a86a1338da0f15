"""A board that trusts a key activates what that key signed, and nothing else."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tools import need
from workplace import Workplace, bundle, local_home

from toolkit.devices import Home
from toolkit.devices.releases import release
from toolkit.devices.releases.health import read_status
from toolkit.devices.releases.signature import signed, trust
from toolkit.errors import BadInput, BoardError


@pytest.fixture
def ours(place: Workplace) -> Home:
    return local_home(place)


@pytest.fixture
def make_key(tmp_path: Path) -> Callable[[str], Path]:
    def make(name: str, kind: str = "ed25519") -> Path:
        path = tmp_path / name
        need("ssh-keygen", "openssh-client", "signing is")
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", path], check=True)
        return path

    return make


def install_signed(ours: Home, made: Path, key: Path) -> str:
    with signed(made, key) as signature:
        return release.install(ours, made, signature=signature).digest


def test_a_trusted_signature_lets_the_release_in(
    ours: Home, place: Workplace, tmp_path: Path, make_key: Callable[[str], Path]
) -> None:
    key = make_key("key")
    trust(ours, key.with_suffix(".pub"))
    assert read_status(ours).signatures_demanded
    made, _ = bundle(tmp_path / "one")
    digest = install_signed(ours, made, key)
    release.activate(ours, digest)
    assert place.releases()["current"] == digest
    assert read_status(ours).healthy


def test_an_unsigned_release_is_refused_and_can_be_signed_later(
    ours: Home, place: Workplace, tmp_path: Path, make_key: Callable[[str], Path]
) -> None:
    key = make_key("key")
    trust(ours, key.with_suffix(".pub"))
    made, _ = bundle(tmp_path / "one")
    digest = release.install(ours, made).digest
    with pytest.raises(BoardError, match="not signed") as caught:
        release.activate(ours, digest)
    assert "release.sign" in str(caught.value.next)
    assert place.releases()["current"] is None
    assert install_signed(ours, made, key) == digest
    release.activate(ours, digest)


def test_a_key_that_is_not_trusted_is_refused(
    ours: Home, place: Workplace, tmp_path: Path, make_key: Callable[[str], Path]
) -> None:
    trust(ours, make_key("mine").with_suffix(".pub"))
    made, _ = bundle(tmp_path / "one")
    digest = install_signed(ours, made, make_key("theirs"))
    with pytest.raises(BoardError, match="signed by no key that the board trusts"):
        release.activate(ours, digest)
    trust(ours, tmp_path / "theirs.pub")
    release.activate(ours, digest)


def test_a_signature_of_another_release_is_refused(
    ours: Home, place: Workplace, tmp_path: Path, make_key: Callable[[str], Path]
) -> None:
    key = make_key("key")
    trust(ours, key.with_suffix(".pub"))
    one, _ = bundle(tmp_path / "one", seed=1)
    two, _ = bundle(tmp_path / "two", seed=2)
    with signed(one, key) as signature:
        digest = release.install(ours, two, signature=signature).digest
    with pytest.raises(BoardError, match="signed by no key"):
        release.activate(ours, digest)


def test_a_rollback_demands_a_signature_too(
    ours: Home, place: Workplace, tmp_path: Path, make_key: Callable[[str], Path]
) -> None:
    key = make_key("key")
    made, unsigned = bundle(tmp_path / "one", seed=1)
    release.install(ours, made)
    release.activate(ours, unsigned)
    trust(ours, key.with_suffix(".pub"))
    made, _ = bundle(tmp_path / "two", seed=2)
    release.activate(ours, install_signed(ours, made, key))
    with pytest.raises(BoardError, match="not signed"):
        release.rollback(ours)


@pytest.mark.parametrize("content", ["", "ssh-rsa AAAA me", "no key at all"])
def test_only_an_ed25519_public_key_is_trusted(ours: Home, tmp_path: Path, content: str) -> None:
    (tmp_path / "key.pub").write_text(content)
    with pytest.raises(BadInput, match="no ed25519 public key"):
        trust(ours, tmp_path / "key.pub")
    assert not read_status(ours).signatures_demanded


def test_what_cannot_sign_says_so(tmp_path: Path) -> None:
    made, _ = bundle(tmp_path / "one")
    with pytest.raises(BadInput, match="no such file"), signed(made, tmp_path / "absent"):
        pass
    need("ssh-keygen", "openssh-client", "signing is")
    (tmp_path / "text").write_text("not a key")
    with pytest.raises(BadInput, match="cannot sign"), signed(made, tmp_path / "text"):
        pass
