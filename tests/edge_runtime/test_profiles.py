"""What several users taught a board is kept apart, whoever switches, and whatever a power cut leaves."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from serving import blobs, learned, left_of_learning, power_cut
from workplace import Workplace, local_home

import edge_runtime
from edge_runtime import learned as learned_files
from edge_runtime import profiles, switching
from edge_runtime.served import look
from toolkit.devices.device import Completed
from toolkit.devices.local import LocalDevice
from toolkit.devices.releases import profiles as host_profiles
from toolkit.errors import BoardError


def teach(model: edge_runtime.Model, seed: int) -> np.ndarray:
    """Something of its own; what it computes then."""
    x, y = blobs()
    assert model.learn(x, y, steps=10 + seed, seed=seed).accepted
    return model(x)


def test_each_gets_back_what_it_was_taught(model: edge_runtime.Model, served: Workplace) -> None:
    x, _ = blobs()
    installed = model(x)
    assert (model.profile, model.profiles()) == ("default", ["default"])
    everyone = teach(model, 1)
    assert model.switch("anna")
    assert np.array_equal(model(x), installed)
    with pytest.raises(edge_runtime.EdgeRuntimeError, match="nothing to undo"):
        model.undo()  # of what another one learned
    hers = teach(model, 2)
    assert not model.switch("anna")
    assert model.switch("bob")
    assert np.array_equal(model(x), installed)
    his = teach(model, 3)
    assert (model.profile, model.profiles()) == ("bob", ["anna", "bob", "default"])
    for name, expected in (("anna", hers), ("default", everyone), ("bob", his), ("anna", hers)):
        assert model.switch(name)
        assert np.array_equal(model(x), expected), name
    again = teach(model, 4)
    assert model.undo()
    assert np.array_equal(model(x), hers)
    assert not np.array_equal(again, hers)
    model.remove_profile("bob")
    assert model.profiles() == ["anna", "default"]
    assert model.switch("bob")
    assert np.array_equal(model(x), installed)


def test_the_host_switches_what_an_application_serves_and_the_other_way_round(
    model: edge_runtime.Model, served: Workplace
) -> None:
    x, _ = blobs()
    home, digest = local_home(served), str(served.releases()["current"])
    installed = model(x)
    assert host_profiles.switch(home, digest, "anna")
    hers = teach(model, 2)
    assert host_profiles.switch(home, digest, "bob")
    assert (model.profile, model.profiles()) == ("bob", ["anna", "bob", "default"])
    assert np.array_equal(model(x), installed)
    his = teach(model, 3)
    assert model.switch("anna")
    assert host_profiles.read_profiles(home, digest) == host_profiles.Profiles(("anna", "bob", "default"), "anna")
    assert np.array_equal(model(x), hers)
    assert not host_profiles.switch(home, digest, "anna")
    assert host_profiles.switch(home, digest, "bob")
    assert np.array_equal(model(x), his)
    with pytest.raises(edge_runtime.EdgeRuntimeError, match="nothing to undo"):
        model.undo()
    host_profiles.remove(home, digest, "anna")
    assert model.profiles() == ["bob", "default"]


@pytest.mark.parametrize("host", [False, True])
@pytest.mark.parametrize("cut", range(8))
def test_a_power_cut_amid_a_switch_mixes_nobody_up(
    served: Workplace, model: edge_runtime.Model, cut: int, host: bool
) -> None:
    """The power goes before each rename in turn; whoever goes on then, application or host, finds both whole."""
    model.switch("anna")
    teach(model, 2)
    hers = learned(served)
    model.switch("bob")
    teach(model, 3)
    his = learned(served)
    now = look(str(served.root))
    with power_cut(cut) as patch:
        patch.setattr(switching, "settle", lambda served: None)  # nor does it tidy up
        try:
            switching.switch(now, "anna")
        except KeyboardInterrupt:
            assert cut < 7
        else:
            assert cut == 7
    home, found = local_home(served), {"anna": hers, "bob": his}
    assert learned(served) == found[model.profile]
    assert host_profiles.read_profiles(home, now.digest).active == model.profile
    for name in ("bob", "anna", "bob", "anna"):
        if host:
            host_profiles.switch(home, now.digest, name)
        else:
            model.switch(name)
        assert learned(served) == found[name]
    states = [name for name in left_of_learning(served) if name.endswith(".safetensors")]
    assert states == [f"{now.digest}.safetensors"]  # nothing of another one to go back to
    with pytest.raises(edge_runtime.EdgeRuntimeError, match="nothing to undo"):
        model.undo()


class Cut(LocalDevice):
    """The power goes as it syncs its disk for the time after so many."""

    def __init__(self, syncs: int) -> None:
        self._syncs = syncs

    def run(self, command: str, **how: Any) -> Completed:
        counted = f"left={self._syncs}; sync() {{ left=$((left-1)); [ $left -ge 0 ] || exit 9; }}"
        return super().run(f"{counted}\n{command}", **how)


@pytest.mark.parametrize("host", [False, True])
@pytest.mark.parametrize("cut", range(8))
def test_a_power_cut_amid_the_hosts_switch_mixes_nobody_up(
    served: Workplace, model: edge_runtime.Model, cut: int, host: bool
) -> None:
    """Before each of its seven syncs in turn; whoever goes on then finds both whole."""
    home, digest = local_home(served), str(served.releases()["current"])
    found = {}
    for name, seed in (("anna", 2), ("bob", 3)):
        model.switch(name)
        teach(model, seed)
        found[name] = learned(served)
    if cut < 7:
        with pytest.raises(BoardError):
            host_profiles.switch(replace(home, device=Cut(cut)), digest, "anna")
    else:
        assert host_profiles.switch(replace(home, device=Cut(cut)), digest, "anna")
    assert learned(served) == found[model.profile]
    assert host_profiles.read_profiles(home, digest).active == model.profile
    for name in ("bob", "anna", "bob", "anna"):
        if host:
            host_profiles.switch(home, digest, name)
        else:
            model.switch(name)
        assert learned(served) == found[name]
    with pytest.raises(edge_runtime.EdgeRuntimeError, match="nothing to undo"):
        model.undo()


@pytest.mark.parametrize("name", ["", "a b", "../anna", "-a", "a" * 65, "anna.safetensors", "ann\n", None, 1])
def test_what_is_no_name(model: edge_runtime.Model, name: str) -> None:
    for refused in (model.switch, model.remove_profile):
        with pytest.raises(edge_runtime.EdgeRuntimeError, match="is no name of a profile"):
            refused(name)


def test_what_cannot_be_removed(model: edge_runtime.Model) -> None:
    model.switch("anna")
    with pytest.raises(edge_runtime.EdgeRuntimeError, match="profile anna is served"):
        model.remove_profile("anna")
    with pytest.raises(edge_runtime.EdgeRuntimeError, match=r"no profile 'bob': there is anna, default"):
        model.remove_profile("bob")


def test_what_is_damaged_is_not_served(model: edge_runtime.Model, served: Workplace) -> None:
    model.switch("anna")
    hers = teach(model, 2)
    model.switch("bob")
    [kept] = (served.root / "adapted").glob("*/profiles/anna.safetensors")
    kept.write_bytes(kept.read_bytes()[:-100])
    with pytest.raises(edge_runtime.EdgeRuntimeError, match=r"(?s)learned for anna is damaged.*remove_profile"):
        model.switch("anna")
    assert model.profile == "bob"
    model.remove_profile("anna")
    assert model.switch("anna")
    assert not np.array_equal(model(blobs()[0]), hers)


def test_a_switch_that_fails_between_two_that_learned_nothing_changes_nobody(
    model: edge_runtime.Model, served: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What both serve is the same, so that alone does not tell whose it is."""

    def full(*paths: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(learned_files, "write_plain", full)
        with pytest.raises(edge_runtime.EdgeRuntimeError, match=r"switching ended early: .*No space left"):
            model.switch("anna")
    assert model.profile == "default"
    teach(model, 1)
    assert model.switch("anna")
    assert learned(served) is None


def test_one_side_does_not_switch_while_the_other_one_works(model: edge_runtime.Model, served: Workplace) -> None:
    home, digest = local_home(served), str(served.releases()["current"])
    (served.root / "lock").symlink_to("somebody")
    with pytest.raises(edge_runtime.EdgeRuntimeError, match="a deployer is at work on this board"):
        model.switch("anna")
    (served.root / "lock").unlink()
    for alone in (learned_files.learning, learned_files.changing):
        with alone(str(served.root)), pytest.MonkeyPatch.context() as patch:
            patch.setattr(host_profiles, "_PATIENCE_S", 2)
            with pytest.raises(BoardError, match="an application learns on this board"):
                host_profiles.switch(home, digest, "anna")
    assert model.profile == "default"
    assert host_profiles.switch(home, digest, "anna")


def test_what_was_learned_for_one_is_not_kept_for_another(
    model: edge_runtime.Model, served: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host without `flock` switches in the midst of it."""
    x, y = blobs()

    def meanwhile(event: str, **_: object) -> None:
        if event == "folds":
            folder = profiles.folder_of(look(str(served.root)))
            Path(folder).mkdir(parents=True)
            profiles.write_text(look(str(served.root)), profiles.ACTIVE, "bob")

    with pytest.raises(edge_runtime.EdgeRuntimeError, match="another profile was switched to while this one learned"):
        model.learn(x, y, steps=10, on_event=meanwhile)
    assert learned(served) is None


def test_a_full_disk_leaves_who_was_served(
    model: edge_runtime.Model, served: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = teach(model, 1)
    folder = served.root / "adapted" / str(served.releases()["current"])
    (folder / "profiles").touch()  # no folder can be made there
    with pytest.raises(edge_runtime.EdgeRuntimeError, match="switching ended early"):
        model.switch("anna")
    assert model.profile == "default"
    assert np.array_equal(model(blobs()[0]), before)
