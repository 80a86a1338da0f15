"""A training in progress: the trainables after the steps so far, and all that it goes on with."""

import numpy as np
from numpy.random import default_rng  # at once: NumPy would import it when it is first used


class Training:
    """Of the examples of `rows`, from those parameters on; `stream` tells its noise from that of others."""

    def __init__(self, learner, parameters, rows, stream):  # type: ignore[no-untyped-def]
        self.parameters, self.done = parameters, 0
        self._learner, self._rows = learner, rows
        self._state = [np.zeros(shape, np.float32) for shape in learner.state]
        self._random = default_rng([learner.spec["seed"], stream])

    def step(self) -> float:
        """One step; returns the mean loss before it."""
        self.parameters, self._state, loss = self._learner.step(self.parameters, self._state, self._rows, self._random)
        self.done += 1
        return loss

    def arrays(self, name: str) -> "dict[str, np.ndarray]":
        """All that `go_on` needs, by names that begin so."""
        values = [*self.parameters, *self._state]
        return {"{}.{}".format(name, place): np.asarray(value) for place, value in enumerate(values)}

    def go_on(self, done: int, arrays: "dict[str, np.ndarray]", name: str) -> None:
        """As after so many steps; the noise of those is drawn, and not used."""
        values = [arrays["{}.{}".format(name, place)] for place in range(len(self.parameters) + len(self._state))]
        self.parameters, self._state = values[: len(self.parameters)], values[len(self.parameters) :]
        self.done = done
        for _ in range(done):
            self._learner.shaken(self._random)
