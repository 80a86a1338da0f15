"""5,000 answers that a board did not give, around commands that really run in a home folder full of its user's files.

    python benchmarks/answers.py [--quick]

Claims that no file of the user's is touched, and that nothing is raised but a DeployError. Commands run as a user
without rights where this is started by root.
"""

import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from board_verbs import LAYERS, ROOTS, VERBS, make_material, tell

if __package__:
    from benchmarks.record import Figure, write
else:
    from record import Figure, write

SEED = 14
ANSWERS, QUICK = 5000, 150


def main() -> None:
    """Tell stories until there were enough lies; write the figures."""
    started, wanted = time.monotonic(), QUICK if "--quick" in sys.argv else ANSWERS
    counts: dict[tuple[str, str], Counter[str]] = {}
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        material, number = make_material(Path(folder)), 0
        while total["answers bent"] < wanted:
            chance = random.Random(f"{SEED} {number}")
            verb, layer = chance.choice(list(VERBS)), chance.choice(LAYERS)
            root, used = chance.choice(ROOTS), chance.random() < 0.5
            story = f"{number}: {verb}, {layer}, {root}, used {used}"
            found: Counter[str] = Counter({"runs": 1})
            try:
                told = tell(verb, layer, root, used, chance.choice((0.2, 0.5, 1.0)), chance, material)
            except Exception:
                print(story, traceback.format_exc(), file=sys.stderr)
                found["tracebacks"] += 1
            else:
                found.update({"answers bent": told.lies, "refused": told.refused is not None})
                found["files touched"] += len(told.touched)
                if told.touched:
                    print(story, told, file=sys.stderr)
            counts.setdefault((verb, layer), Counter()).update(found)
            total.update(found)
            number += 1
    name = "quick: " if "--quick" in sys.argv else ""
    how = f"{total['runs']} runs of {len(VERBS)} verbs, answers bent below and above the markers, or another shell"
    figures = {
        f"{name}answers bent": Figure(total["answers bent"], f">= {wanted}", total["answers bent"] >= wanted, how),
        f"{name}files touched": Figure(total["files touched"], "0", total["files touched"] == 0, how),
        f"{name}tracebacks": Figure(total["tracebacks"], "0", total["tracebacks"] == 0, how),
    }
    rows: list[dict[str, Any]] = [
        {"verb": verb, "layer": layer, **counts[verb, layer]} for verb, layer in sorted(counts)
    ]
    write("answers-quick" if "--quick" in sys.argv else "answers", figures, rows, seeds=[SEED], started=started)


if __name__ == "__main__":
    main()
