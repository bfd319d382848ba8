"""The three services by name, for commands that are the same on each."""

import enum
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from smarketing.cli.session import Session
from smarketing.client import LeadsClient, ReportsClient, SlaClient

__all__ = ["AnyClient", "Service", "ServiceOption", "ask_service", "client_of"]

T = TypeVar("T")
AnyClient = LeadsClient | SlaClient | ReportsClient


class Service(enum.StrEnum):
    """A service."""

    LEADS = "leads"
    SLA = "sla"
    REPORTS = "reports"


ServiceOption = Annotated[Service, typer.Option(help="Whose.")]


def client_of(session: Session, service: Service) -> AnyClient:
    """Return a client of a service."""
    if service is Service.LEADS:
        return LeadsClient(session.settings)
    return SlaClient(session.settings) if service is Service.SLA else ReportsClient(session.settings)


def ask_service(session: Session, service: Service, question: Callable[[AnyClient], Awaitable[T]]) -> T:
    """Return what `question` gets from a client of a service."""
    if service is Service.LEADS:
        return session.ask(LeadsClient, question)
    return (
        session.ask(SlaClient, question) if service is Service.SLA else session.ask(ReportsClient, question)
    )
