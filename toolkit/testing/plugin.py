"""The pytest plugin: options and the fixtures `target`, `device`, `deployed` and `regression`.

pytest loads it wherever this package is installed, so what is heavy is imported by the fixtures that need it.
"""

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from toolkit.testing import options

if TYPE_CHECKING:
    from toolkit.devices import Home
    from toolkit.model_name import HfTask
    from toolkit.targets import Target
    from toolkit.testing.deployed import Deployed
    from toolkit.testing.openmetrics import Regression
    from toolkit.testing.samples import Samples

_DONE: "pytest.StashKey[list[Regression]]" = pytest.StashKey()


class Deploy(Protocol):
    """What the fixture `deployed` is: model and task as `deploy` takes them, budgets as text (`5ms`, `64MB`)."""

    def __call__(
        self,
        model: str,
        task: str,
        *,
        weights: "str | Path | None" = None,
        hf_task: "HfTask | None" = None,
        latency: str | None = None,
        memory: str | None = None,
        size: str | None = None,
        runtime: str | None = None,
        recovery_steps: int | None = None,
        seed: int = 0,
    ) -> "Deployed":
        """The accepted release; the same arguments give the same one, which is deployed once a session."""
        ...


def pytest_addoption(parser: pytest.Parser) -> None:
    """Only what cannot clash: the options come after everybody else's."""
    parser.addini(options.TARGET, "board to test on where --target does not say", default="")


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(parser: pytest.Parser) -> Generator[None]:
    """Options, once conftests have theirs: installing this package must break nobody's `--target`."""
    yield
    options.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Remember what was promised and what will have been measured."""
    config.stash[_DONE] = []
    options.promise_board(config)


@pytest.fixture(scope="session")
def target(pytestconfig: pytest.Config) -> "Iterator[Target]":
    """The board's target; an emulated one is booted if it is off. Skips loudly, or fails with --require-board."""
    from toolkit.testing.board import powered

    with powered(options.target_name(pytestconfig)) as found:
        yield found


@pytest.fixture(scope="session")
def device(target: "Target") -> "Iterator[Home]":
    """The tests' own folder on the board, held for the session; `device.device` runs commands and moves files."""
    from toolkit.testing.board import held

    with held(target) as home:
        yield home


@pytest.fixture(scope="session")
def deployed(target: "Target", device: "Home") -> Deploy:
    """Deploys a model for a test: plan, compress, export, install, verify on the board."""
    from toolkit.model_name import NamedModel, require_model_options
    from toolkit.request import Overrides, Request
    from toolkit.testing.board import of_tests, sentences
    from toolkit.testing.deployed import deploy_for_test
    from toolkit.units import parse_bytes, parse_milliseconds

    ready: dict[tuple[Request, Overrides], Deployed] = {}

    def deploy(
        model: str,
        task: str,
        *,
        weights: "str | Path | None" = None,
        hf_task: "HfTask | None" = None,
        latency: str | None = None,
        memory: str | None = None,
        size: str | None = None,
        runtime: str | None = None,
        recovery_steps: int | None = None,
        seed: int = Request.seed,
    ) -> "Deployed":
        with sentences():
            named = NamedModel(model, None if weights is None else Path(weights), hf_task)
            require_model_options(named)
            request = Request(
                model,
                task,
                runtime,
                recovery_steps=recovery_steps,
                seed=seed,
                weights=named.weights,
                hf_task=named.hf_task,
            )
            overrides = Overrides(
                None if latency is None else parse_milliseconds(latency),
                None if memory is None else parse_bytes(memory),
                None if size is None else parse_bytes(size),
            )
            if (request, overrides) not in ready:
                ready[request, overrides] = deploy_for_test(device, of_tests(target), request, overrides)
            return ready[request, overrides]

    return deploy


@pytest.fixture
def regression(request: pytest.FixtureRequest) -> "Callable[[str, Samples], None]":
    """`regression("name", measurement)` fails if the measurement is slower than the baseline of that name."""
    from toolkit.testing.board import sentences
    from toolkit.testing.regression import regress

    config = request.config

    def record(name: str, value: object) -> None:
        # What `record_property` does, which also warns every user of the default JUnit family.
        request.node.user_properties.append((name, value))

    def check(name: str, measurement: "Samples") -> None:
        with sentences():
            regress(
                name,
                measurement,
                options.baselines_folder(config),
                update=options.update_baselines(config),
                done=config.stash[_DONE],
                record=record,
            )

    return check


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Where new baselines lie: they are to be committed."""
    reports = (report for each in terminalreporter.stats.values() for report in each)
    properties = (pair for report in reports for pair in getattr(report, "user_properties", ()))
    written = dict.fromkeys(str(value) for key, value in properties if key.endswith(options.WRITTEN))
    if written:
        terminalreporter.section("baselines written, to be committed")
        for path in written:
            terminalreporter.write_line(path)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the metrics, if anything was measured."""
    done, path = session.config.stash[_DONE], options.openmetrics_file(session.config)
    if path and done:
        from toolkit.testing.openmetrics import write_openmetrics

        write_openmetrics(path, done)
