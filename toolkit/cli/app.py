"""The verbs, gathered."""

from typing import Annotated

import typer

from toolkit import __version__
from toolkit.cli import (
    adapt,
    connect,
    devices,
    doctor,
    export,
    infer,
    lab,
    logs,
    methods,
    plan,
    profile,
    pull,
    report,
    rollback,
    run,
    status,
    targets,
    top,
    trust,
    unlock,
)

app = typer.Typer(
    name="deploy",
    help="Compress a model to a board's measured budget, install it there, prove it fits, let the board learn.",
    epilog="`deploy --target host` is short for `deploy run --target host`; the bundled example needs no more.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
app.command("run", epilog=run.EPILOG)(run.run)
app.command("plan", epilog=plan.EPILOG)(plan.plan)
app.command("profile", epilog=profile.EPILOG)(profile.profile)
app.command("methods", epilog="Example: [bold]deploy methods --json[/bold]")(methods.methods)
app.command("targets", epilog="Example: [bold]deploy targets --json[/bold]")(targets.targets)
app.command("devices", epilog=devices.EPILOG)(devices.devices)
app.command("connect", epilog=connect.EPILOG)(connect.connect)
app.command("doctor", epilog=doctor.EPILOG)(doctor.doctor)
app.command("status", epilog="Example: [bold]deploy status --target host[/bold]")(status.status)
app.command("export", epilog=export.EPILOG)(export.export)
app.command("infer", epilog=infer.EPILOG)(infer.infer)
app.command("adapt", epilog=adapt.EPILOG)(adapt.adapt)
app.command("pull", epilog=pull.EPILOG)(pull.pull)
app.command("top", epilog=top.EPILOG)(top.top)
app.command("logs", epilog=logs.EPILOG)(logs.logs)
app.command("rollback", epilog="Example: [bold]deploy rollback --target host[/bold]")(rollback.rollback)
app.command("unlock", epilog="Example: [bold]deploy unlock --target host[/bold]")(unlock.unlock)
app.command("trust", epilog="Example: [bold]deploy trust release-key.pub --target emulated-pi[/bold]")(trust.trust)
app.command("report", epilog="Example: [bold]deploy report runs/20260102-030405-host/result.json[/bold]")(report.report)
app.add_typer(lab.app, name="lab")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _deploy(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options of `deploy` itself."""
