"""Print what a network hears in a recording, window by window. On the board:

    PYTHONPATH=~/.edge-deploy/edge_runtime.pyz python3 listen.py recording.wav

The release was deployed from recordings (.wav) of one window each. It may be replaced, and may learn, meanwhile.
"""

import sys
import wave

import edge_runtime  # isort: skip  # first: it finds NumPy where the board has none of its own

import numpy as np


def main(path: str) -> None:
    """One line a window: when it begins, what it is, and how sure the network is."""
    model = edge_runtime.load()
    told = model.info()
    [shape] = [tuple(port["shape"]) for port in told["inputs"]]
    with wave.open(path) as file:
        rate_hz = file.getframerate()
        wanted_hz = told["preprocessing"].get("sample_rate_hz", rate_hz)
        if (file.getnchannels(), file.getsampwidth(), rate_hz) != (1, 2, wanted_hz):
            sys.exit(f"{path}: give 16 bits, one channel, {wanted_hz} Hz")
        for window in range(file.getnframes() // shape[-1]):
            samples = np.frombuffer(file.readframes(shape[-1]), "<i2").reshape(shape)
            state = model.now()
            logits = state(samples)
            shares = np.exp(logits - logits.max())
            name, share = state.classes[logits.argmax()], shares.max() / shares.sum()
            print(f"{window * shape[-1] / rate_hz:6.2f} s  {name}  {share:.0%}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
