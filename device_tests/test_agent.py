"""The agent on a real board: it knows what it stands on."""

import pytest

from toolkit.devices import Home, install_agent, probe
from toolkit.runtimes import RUNTIMES
from toolkit.targets import Target


@pytest.mark.parametrize("runtime", ["onnxruntime", "executorch"])
def test_the_agent_tells_the_boards_facts(ours: Home, target: Target, runtime: str) -> None:
    if runtime not in target.runtimes:
        pytest.skip(f"{target.name} is not said to run {runtime}")
    agent = install_agent(ours, target, RUNTIMES[runtime].agent, lambda _: None)
    facts = probe(agent)
    assert target.family.arch in ("any", facts.machine)
    assert facts.cores >= 1
    assert facts.ram_bytes
    assert facts.ram_bytes > 1e8
