"""That memory which large tensors left is there for the next ones."""

import platform
import subprocess
import sys

import pytest

# A pass of ten operations, each of which makes a tensor of 80 MB, once more than the first.
_PASSES = """
import resource
import torch
{prepared}
x = torch.ones(20_000_000)

def run() -> None:
    y = x
    for _ in range(10):
        y = torch.relu(y)

run()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    run()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
_KEPT = "from toolkit.cli.memory import keep_freed_memory; keep_freed_memory()"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library keeps memory by its own rules")
def test_large_tensors_take_the_pages_of_those_before() -> None:
    assert _page_faults(_KEPT) < _page_faults("") / 4


def _page_faults(prepared: str) -> int:
    command = [sys.executable, "-c", _PASSES.format(prepared=prepared)]
    return int(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
