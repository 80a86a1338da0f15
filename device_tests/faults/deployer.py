"""One deployment of a finished bundle, in a process of its own that says where it is and can be made to wait there.

    python -m device_tests.faults.deployer TARGET_JSON BUNDLE CHUNK_BYTES [STOP_AT]

These are the product's own steps between export and adaptation. After printing the name of STOP_AT it waits for a line.
"""

import sys
from pathlib import Path

from toolkit.devices import call, hold
from toolkit.devices.native.install import install_native_agent
from toolkit.devices.releases import release
from toolkit.errors import DeployError
from toolkit.targets import Target

MOMENTS = ("locked", "agent", "sending", "sent", "installed", "verified", "activated", "collected")


def main() -> None:
    """Deploy; exit status 0 if the release is in service, 3 with one line on stderr if not."""
    target, bundle = Target.model_validate_json(sys.argv[1]), Path(sys.argv[2])
    stop_at = sys.argv[4] if len(sys.argv) > 4 else None
    seen: set[str] = set()

    def say(moment: str) -> None:
        if moment in seen:
            return
        seen.add(moment)
        print(moment, flush=True)
        if moment == stop_at:
            sys.stdin.readline()

    try:
        _deploy(target, bundle, int(sys.argv[3]), say)
    except DeployError as error:
        print(str(error).splitlines()[0], file=sys.stderr)
        sys.exit(3)


def _deploy(target: Target, bundle: Path, chunk_bytes: int, say) -> None:  # type: ignore[no-untyped-def]
    with hold(target) as home:
        # Small pieces, so that a release of less than a megabyte is on its way for more than one.
        home.device.chunk_bytes = chunk_bytes  # type: ignore[misc]
        say("locked")
        agent = install_native_agent(home, lambda _: None)
        say("agent")
        done = release.install(home, bundle, lambda sent, total: say("sent" if sent == total else "sending"))
        say("installed")
        spec = {"release": release.release_folder(home, done.digest), "digest": done.digest}
        said = call(agent, "verify", spec | {"threads": 1, "runs": 20, "warmups": 2, "budget_ms": 200.0})
        if said["corrupt"] or not said["max_abs_difference"] <= 1e-4:
            sys.exit(f"refused: {said['corrupt']}, {said.get('max_abs_difference')}")
        say("verified")
        release.activate(home, done.digest)
        say("activated")
        release.collect(home, target.keep_releases)
        say("collected")


if __name__ == "__main__":
    main()
