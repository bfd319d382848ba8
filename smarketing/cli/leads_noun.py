"""`smarketing leads`: the commands of every part of it, under one noun."""

import typer

from smarketing.cli import (
    behaviour,
    disputes,
    handoffs,
    identity,
    intake,
    leads,
    lookups,
    mql,
    people,
    scoring,
    work,
)

__all__ = ["leads_app"]

leads_app = typer.Typer(no_args_is_help=True)
leads.register(leads_app)
lookups.register(leads_app)
intake.register(leads_app)
handoffs.register(leads_app)
work.register(leads_app)
disputes.register(leads_app)
identity.register(leads_app)
people.register(leads_app)
leads_app.add_typer(scoring.app, name="score")
leads_app.add_typer(mql.app, name="mql")
leads_app.add_typer(behaviour.app, name="behaviour")
