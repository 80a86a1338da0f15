"""`--host`: a board at another address than its target says."""

import pytest
import typer
from openssh import PLACE, Sshd, make_key
from workplace import Workplace, one_object, refusal

from toolkit.cli.app import app

RACK = (
    """
summary = "a board that answers elsewhere"
arch = "any"
runtimes = ["onnxruntime"]
root = "{root}"
"""
    + PLACE
)


def test_every_verb_that_takes_a_target_takes_its_address() -> None:
    verbs = {name: {each.name for each in verb.params} for name, verb in typer.main.get_command(app).commands.items()}
    on_a_board = {name for name, options in verbs.items() if "target" in options}
    assert {"run", "plan", "profile", "status", "rollback", "unlock", "trust"} <= on_a_board
    assert {name for name in on_a_board if "host" not in verbs[name]} == set()


@pytest.mark.parametrize("verb", ["status", "unlock"])
def test_a_verb_reaches_the_board_there(place: Workplace, sshd: Sshd, verb: str) -> None:
    text = RACK.format(port=1, root=place.folder / "root", identity=sshd.identity, known_hosts=sshd.known_hosts)
    (place.folder / "targets" / "rack.toml").write_text(text)
    assert place.deploy(verb, "--target", "rack").returncode == 3
    done = place.deploy(verb, "--target", "rack", "--host", f"127.0.0.1:{sshd.port}")
    assert done.returncode == 0, done.stderr
    assert "rack" in done.stdout
    assert verb != "status" or f"--target rack --host 127.0.0.1:{sshd.port}" in done.stdout


@pytest.mark.parametrize("form", ["--host {}", "--host={}"])
def test_what_an_error_proposes_goes_to_the_same_board(place: Workplace, sshd: Sshd, form: str) -> None:
    text = RACK.format(port=1, root=place.folder / "root", identity=sshd.identity, known_hosts=sshd.known_hosts)
    (place.folder / "targets" / "rack.toml").write_text(text)
    where = f"127.0.0.1:{sshd.port}"
    done = place.deploy("rollback", "--target", "rack", *form.format(where).split(), "--json")
    assert f"--target rack --host {where}" in str(one_object(done.stdout)["next"])
    assert f"--target rack --host {where}" in refusal(done)
    trusted = place.deploy("trust", f"{make_key(place.folder / 'key')}.pub", "--target", "rack", "--host", where)
    assert trusted.returncode == 0, trusted.stderr
    none = place.deploy("rollback", "--target", "rack", *form.format(where).split())
    assert f"deploy status --target rack --host {where}" in refusal(none)
