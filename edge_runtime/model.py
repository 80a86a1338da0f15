"""A model as an application calls it: what the board serves, with what it has learned."""

from __future__ import annotations

import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import journal, learned, profiles, switching
from .asked import Asked, require_possible, require_sound, rows_of, spec_of
from .checkpoint import Checkpoint, key_of, unfinished_beside
from .errors import EdgeRuntimeError
from .generations import Generation, file_of, generations
from .learner import Learner, read_by_learning
from .learning import USUAL_STEPS, Deadline, learn
from .methods import AUTO
from .plain import lead_to, leads_elsewhere
from .release import load_tensors
from .served import HOME, Served, look, require_whole
from .state import State, load_state
from .support import support_of
from .watch import Watch

# What could not be loaded is tried again after so long: it may have been mended.
_PATIENCE_S = 10.0
# A look now and then, whatever is heard: of folders further up, or of a disk elsewhere, nothing is.
_LOOK_EVERY_S = 1.0


def load(root: str | None = None, *, threads: int = 1) -> Model:
    """What is active on this board; `root` is the folder of the toolkit there ($EDGE_DEPLOY_ROOT, else ~/.edge-deploy).

    Raises EdgeRuntimeError where there is nothing, or it is damaged, or for another runtime.
    """
    folder = root or os.environ.get("EDGE_DEPLOY_ROOT") or HOME
    return Model(os.path.abspath(os.path.expanduser(folder)), threads)


@dataclass(frozen=True)
class Learned:
    """What came of learning: it serves from now on if `accepted`. `held_out` has loss and score before and after: of a
    prototype, before is what was installed; of other methods, the head that they begin with.

    `guard` has the score of `examples` of what it knew before, before and after, where the release brings such.
    """

    accepted: bool
    reason: str
    method: str
    examples: int
    steps: int
    held_out: dict[str, float] | None
    guard: dict[str, float] | None = None


class Model:
    """Threads may share one. A later deployment, rollback or learning is taken over between two calls."""

    def __init__(self, root: str, threads: int) -> None:
        self._root, self._threads = root, threads
        self._taking_over = threading.Lock()
        self._refused: Served | None = None
        self._again_s = 0.0
        self._warned = ""
        self._watch, self._look_s = Watch(root), time.monotonic() + _LOOK_EVERY_S
        self._state = load_state(look(root), threads)
        self._mend_lead()

    def _mend_lead(self) -> None:
        """Where a power cut left `model` elsewhere, and this user may."""
        with suppress(EdgeRuntimeError, OSError):
            if leads_elsewhere(self._state.served):
                with learned.changing(self._root):  # another that begins mends it, too
                    served = look(self._root)
                    if leads_elsewhere(served):
                        lead_to(served)

    def __call__(self, /, *inputs: Any, **named: Any) -> np.ndarray:
        """The first output for one example, or, with one more axis, for several.

        Inputs are given in the order of the ports or by their names: see `inputs.entry_of`. Raises EdgeRuntimeError for
        what does not fit them.
        """
        return self.now()(*inputs, **named)

    @property
    def classes(self) -> list[str]:
        """Of what is served now, in the order of its logits."""
        return self.now().classes

    def info(self) -> dict[str, Any]:
        """What is served now: see `State.info`."""
        return self.now().info()

    def now(self) -> State:
        """What the board serves now, as one: its classes are those of its outputs, whatever is deployed meanwhile.

        What it served, if that cannot be loaded, which is warned of once.
        """
        if self._watch.changed():
            self._watch = self._watch.again()  # before it looks: nothing is missed
        elif time.monotonic() < self._look_s:
            return self._state
        self._look_s = time.monotonic() + _LOOK_EVERY_S
        try:
            served = look(self._root)
            if served == self._state.served or (served == self._refused and time.monotonic() < self._again_s):
                return self._state
            self._refused, self._again_s = served, time.monotonic() + _PATIENCE_S  # until it is loaded, or mended
            self.reload()
        except Exception as error:  # an application goes on, whatever happens to the disk
            self._again_s = time.monotonic() + _PATIENCE_S  # to find that out may have taken long
            if str(error) != self._warned:
                self._warned = str(error)
                serves = self._state.served.digest
                journal.note(self._root, "could not take over", why=self._warned, still_serves=serves)
                warnings.warn(f"still serving release {self._state.served.digest[:12]}: {error}", stacklevel=3)
        return self._state

    def reload(self) -> bool:
        """Take over what the board serves now; whether that was another. Raises EdgeRuntimeError, and serves on."""
        with self._taking_over:
            served, before = look(self._root), self._state
            if served == before.served:
                return False
            self._state = load_state(served, self._threads, before)
            self._refused, self._warned = None, ""
            if self._state.counters is not before.counters:
                before.counters.close()
            return True

    def learn(
        self,
        inputs: Any,
        targets: Any,
        *,
        classes: Sequence[str] | None = None,
        method: str = AUTO,
        steps: int | None = None,
        seconds: float | None = None,
        max_forgetting: float | None = None,
        seed: int = 0,
        on_event: Callable[..., None] = lambda event, **fields: None,
    ) -> Learned:
        """Learn anew, from these examples alone, on top of the release as installed; calls go on meanwhile.

        `inputs`: (N, ...) of the only input, or such arrays by name. `targets`: names of classes, or an array as the
        release's target is. `classes` names all that are told apart from then on, where the release has room for new
        ones; None: those of now. By `method` a head is made of the examples (prototype) or trained (head), or cores and
        head are (cores); auto: what gains. It serves from then on if examples that were held out in turn gain. It
        learns as much as `seconds` allow, and keeps nothing after them. Of the score of what it knew before it loses
        `max_forgetting` at most, else what the release says. Raises EdgeRuntimeError for what does not fit, and where
        the release does not learn.
        """
        asked = Asked(method, steps, seconds, max_forgetting, seed, classes)
        require_sound(asked)
        with learned.learning(self._root):
            now, deadline = self.now(), Deadline(seconds)
            profile = profiles.active(now.served)
            rows = rows_of(asked, now)
            support = support_of(now.manifest, now.entries, inputs, targets, rows)
            learned.require_writable(now.served)
            require_whole(now.served, now.manifest, read_by_learning(now.manifest["learn"]))
            require_possible(asked, now)
            try:
                spec = spec_of(asked, now, rows, self._threads)
                learner = Learner(spec, now.manifest, load_tensors(now.served.folder, None), support)
                wanted = steps or now.manifest["learn"].get("usual", {}).get("steps") or USUAL_STEPS
                key = key_of(now.served.digest, spec, wanted, support)
                checkpoint = Checkpoint(unfinished_beside(now.served.adapted), key)
                result, values = learn(learner, support["strata"], wanted, on_event, deadline, checkpoint=checkpoint)
                if values is not None:
                    with learned.changing(self._root):
                        if profiles.active(now.served) != profile:
                            raise EdgeRuntimeError(
                                "another profile was switched to while this one learned",
                                where=self._root,
                                next=f"model.switch({profile!r}), and learn once more.",
                            )
                        learned.keep(now.served, values)
                checkpoint.drop()
            except EdgeRuntimeError:
                raise
            except Exception as error:  # a runtime and a disk raise what they like
                raise EdgeRuntimeError(
                    f"learning ended early: {error}", where=self._root, next="It serves what it served."
                ) from error
            event = "learned" if result["accepted"] else "did not take what it learned"
            said = {"reason": result["reason"], "examples": learner.examples, **(result["held_out"] or {})}
            journal.note(self._root, event, release=now.served.digest, **said)
        self.reload()
        told = {name: result[name] for name in ("accepted", "reason", "method", "steps", "held_out", "guard")}
        return Learned(examples=learner.examples, **told)

    def undo(self) -> bool:
        """Serve what was served before the last learning; whether that, too, was learned. Raises EdgeRuntimeError."""
        with learned.learning(self._root), learned.changing(self._root):
            served = self.now().served
            left = learned.undo(served)
            serves = "learned" if left else "installed"
            journal.note(self._root, "undid what it learned", release=served.digest, serves=serves)
        self.reload()
        return left

    def generations(self) -> list[Generation]:
        """The release that is served as installed, and what was learned and taken on top of it, the oldest first."""
        return generations(self.now().served)

    def go_to(self, number: int) -> None:
        """Serve that generation again; `undo` goes back. Raises EdgeRuntimeError."""
        if type(number) is not int or number < 0:
            raise EdgeRuntimeError(
                f"number is {number!r}", where="model.go_to(...)", next="Give one of model.generations()."
            )
        with learned.learning(self._root), learned.changing(self._root):
            served = self.now().served
            file = file_of(served, number) if number else None
            if any(each.number == number and each.serves for each in generations(served)):
                return
            learned.require_writable(served)
            with self._whole("going back"):
                learned.keep(served, file)
            journal.note(self._root, "went to a generation", release=served.digest, generation=number)
        self.reload()

    @property
    def profile(self) -> str:
        """Whose learning is served: see `switch`."""
        return profiles.active(self.now().served)

    def profiles(self) -> list[str]:
        """All of them, by name: `default` until another one was switched to."""
        return profiles.profiles(self.now().served)

    def switch(self, name: str) -> bool:
        """Serve what the board learned for that user or site, for a new one the release as installed.

        What is learned from then on is that profile's. Returns whether it was another one. Raises EdgeRuntimeError.
        """
        _require_name(name, "model.switch(...)")
        with learned.learning(self._root), learned.changing(self._root):
            served = self.now().served
            learned.require_writable(served)
            with self._whole("switching"):
                switched = switching.switch(served, name)
            if switched:
                journal.note(self._root, "switched to a profile", release=served.digest, profile=name)
        self.reload()
        return switched

    def remove_profile(self, name: str) -> None:
        """Forget what that profile learned, if it is not served. Raises EdgeRuntimeError."""
        _require_name(name, "model.remove_profile(...)")
        with learned.learning(self._root), learned.changing(self._root):
            served = self.now().served
            switching.remove(served, name)
            journal.note(self._root, "removed a profile", release=served.digest, profile=name)

    @contextmanager
    def _whole(self, doing: str) -> Iterator[None]:
        """What a disk raises there."""
        try:
            yield
        except OSError as error:
            raise EdgeRuntimeError(
                f"{doing} ended early: {error}", where=self._root, next="It serves what it served."
            ) from error


def _require_name(name: str, where: str) -> None:
    if not profiles.is_name(name):
        raise EdgeRuntimeError(f"{name!r} is no name of a profile", where=where, next=profiles.NAMES_ARE)
