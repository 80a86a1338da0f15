"""An application that learns, undoes and goes to random generations without end: ROOT SUPPORT.npz SEED.

It runs on boards, too: `edge_runtime` and NumPy are all that it needs.
"""

import random
import sys

import numpy as np

import edge_runtime


def main() -> None:
    """Says `ready` before it begins."""
    chance, data = random.Random(int(sys.argv[3])), np.load(sys.argv[2])
    model = edge_runtime.load(sys.argv[1])
    print("ready", flush=True)
    while True:
        try:
            what = chance.random()
            if what < 0.3:
                model.learn(data["x"], data["y"], steps=chance.randint(3, 6), seed=chance.randrange(1000))
            elif what < 0.5:
                model.undo()
            else:
                model.go_to(chance.choice(model.generations()).number)
        except edge_runtime.EdgeRuntimeError as error:
            if "nothing to undo" not in str(error):
                raise


if __name__ == "__main__":
    main()
