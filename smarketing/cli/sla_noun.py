"""`smarketing sla`: the commands of every part of it, under one noun."""

import typer

from smarketing.cli import agreements, alerts, backtests, budgets, channels, exceptions, pauses, sla

__all__ = ["sla_app"]

sla_app = typer.Typer(no_args_is_help=True)
sla.register(sla_app)
pauses.register(sla_app)
agreements.register(sla_app)
backtests.register(sla_app)
sla_app.add_typer(alerts.app, name="alerts")
sla_app.add_typer(channels.app, name="channels")
sla_app.add_typer(channels.endpoints, name="endpoints")
sla_app.add_typer(exceptions.app, name="exceptions")
sla_app.add_typer(budgets.app, name="budgets")
sla_app.add_typer(budgets.periods, name="periods")
