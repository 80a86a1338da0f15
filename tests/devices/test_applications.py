"""What applications find on a board beside the release: also what reads their texts and images, if it is of such."""

import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from workplace import Workplace, local_home

from toolkit.devices import Agent, probe
from toolkit.devices.applications import offer, offer_reader
from toolkit.devices.python_agent import install_python_agent, with_site
from toolkit.devices.wheels import reader_for

pytest.importorskip("tokenizers", reason="tokenizers comes with the extra text")


@pytest.fixture
def agent(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> Agent:
    """Of a board whose packages are ours; pip finds what lies in the working folder and asks no network."""
    monkeypatch.setenv("EDGE_DEPLOY_CACHE", str(place.cache))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(place.folder))
    agent = install_python_agent(local_home(place), place.target)
    (place.root / "packages" / "runtime").mkdir()
    return with_site(agent, agent.home.at("packages", "runtime"))


def own_tokenizers(folder: Path) -> None:
    """A wheel of that name, of the version that a board gets, which says where it was imported."""
    version = metadata.version("tokenizers")
    with zipfile.ZipFile(folder / f"tokenizers-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tokenizers/__init__.py", "mine = True\n")
        said = f"Metadata-Version: 2.1\nName: tokenizers\nVersion: {version}\nRequires-Dist: huggingface-hub\n"
        wheel.writestr(f"tokenizers-{version}.dist-info/METADATA", said)
        wheel.writestr(f"tokenizers-{version}.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"tokenizers-{version}.dist-info/RECORD", "")


def test_applications_and_the_agent_find_what_makes_token_ids(place: Workplace, agent: Agent) -> None:
    own_tokenizers(place.folder)
    facts = probe(agent)
    offer(agent)
    for _ in range(2):
        notes: list[str] = []
        offer_reader(agent, "texts", sys.executable, facts, notes.append)
        [folder] = (each for each in (place.root / "packages").iterdir() if each.name != "runtime")
        assert (place.root / "texts").resolve() == folder
        assert place.left_behind() == []
    assert notes == []  # it is sent once
    script = "import edge_runtime, sys; print(sys.path[-2:])"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": str(place.root / "edge_runtime.pyz")},
        cwd=place.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str([str(place.root / "packages" / "runtime"), str(folder)])
    script = f"{agent.command.partition(' /')[0]} {sys.executable} -c 'import tokenizers; print(tokenizers.mine)'"
    assert agent.home.device.run(script).stdout == b"True\n"


def test_a_board_without_it_serves_as_well(place: Workplace, agent: Agent) -> None:
    notes: list[str] = []
    offer_reader(agent, "texts", sys.executable, probe(agent), notes.append)
    [note] = notes
    assert note.startswith("applications on desk have to give arrays instead of texts: no wheel of tokenizers==")
    assert not (place.root / "texts").exists()


def test_a_board_with_packages_of_its_own_gets_none(place: Workplace, agent: Agent) -> None:
    own_tokenizers(place.folder)
    bare = install_python_agent(local_home(place), place.target)
    offer_reader(bare, "texts", sys.executable, probe(agent), pytest.fail)
    assert not (place.root / "texts").exists()


@pytest.mark.parametrize(
    ("kind", "name", "older"), [("texts", "tokenizers", ["0.22.2", None]), ("images", "pillow", ["11.3.0", "12.3.0"])]
)
def test_it_is_of_this_machines_version_or_the_last_for_the_boards_python(
    kind: str, name: str, older: list[str | None]
) -> None:
    here = metadata.version(name)
    expected = [f"{name}=={version or here}" for version in (*older, None, None)]
    assert [reader_for(kind, version) for version in ("3.9.2", "3.10.4", "3.11.2", "3.14.0")] == expected
