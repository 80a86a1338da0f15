"""What is torn of what a board has learned, or computes something else than it should: ROOT, printed as JSON.

It runs on boards, too: `edge_runtime`, NumPy and ONNX Runtime are all that it needs.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np
import onnxruntime

import edge_runtime
from edge_runtime.digests import read_manifest, sha256
from edge_runtime.release import load_inference, load_tensors
from edge_runtime.served import look
from edge_runtime.tensors import read_arrays


def wrong_with(root: str) -> list[str]:
    """What is wrong with each state there, in words."""
    wrong = []
    served = look(root)
    manifest = read_manifest(served.folder)
    x = read_arrays(f"{served.folder}/acceptance.safetensors")["inputs.x"][:1]
    generations = sorted(Path(root, "adapted", served.digest, "generations").glob("*.safetensors"))
    wrong += [f"{path.name} is damaged" for path in generations if sha256(str(path))[:16] not in path.name]

    def outputs(learned: "str | None") -> np.ndarray:
        return load_inference(served.folder, manifest, load_tensors(served.folder, learned), 1)([x])[0]

    try:
        answered = edge_runtime.load(root)(x)
        if not np.array_equal(answered, outputs(served.adapted if served.state else None)):
            wrong.append("what is served computes something else")
    except Exception as error:
        wrong.append(f"what is served: {error}")
    if os.path.lexists(f"{root}/model"):
        try:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            session = onnxruntime.InferenceSession(f"{root}/model/infer.onnx", options)
            plain = session.run(None, {session.get_inputs()[0].name: x})[0]
            if not any(np.allclose(plain, outputs(each), atol=1e-5) for each in (None, *map(str, generations))):
                wrong.append("model/ computes what is no state")
        except Exception as error:
            wrong.append(f"model/: {error}")
    return wrong


def served_state(root: str) -> str:
    """The name of the state that is served."""
    served = look(root)
    return sha256(served.adapted)[:16] if served.state else "installed"


if __name__ == "__main__":
    print(json.dumps({"wrong": wrong_with(sys.argv[1]), "serves": served_state(sys.argv[1])}))
