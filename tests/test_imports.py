"""What a deployment that is refused at once does not wait for."""

import os
import subprocess
import sys


def test_torchs_compiler_comes_only_with_what_needs_it() -> None:
    # Seconds, on a small host; a model that cannot be deployed is to be refused within fifteen.
    program = "import sys, toolkit.pipeline; print('torch._dynamo' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout.strip() == "False"
