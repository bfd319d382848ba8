"""`smarketing leads erase | export | consent | consents`: people's rights."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType

from smarketing.api.leads.v1 import privacy_pb2 as privacypb
from smarketing.cli.leads import taken
from smarketing.cli.options import At, Limit, number_of, timestamp_of
from smarketing.cli.output import id_of, table, when
from smarketing.cli.session import Session, session_of
from smarketing.cli.sure import agreed
from smarketing.client import LeadsClient
from smarketing.mapping.texts import enum_word

__all__ = ["register"]

_STANDARD_INPUT = "-"

Lead = Annotated[str, typer.Argument(metavar="LEAD", help="The lead's id.")]
Subject = Annotated[str, typer.Argument(metavar="LEAD", help="The lead's id; or give --email or --phone.")]
Email = Annotated[
    str, typer.Option(help="By e-mail address; - reads it from standard input, out of the shell's history.")
]
Phone = Annotated[str, typer.Option(help="By phone number; - as for --email.")]
AllMatches = Annotated[
    bool, typer.Option("--all-matches", help="All leads that have the address or number are meant.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the noun."""
    for command in (erase, export, consent, consents):
        app.command(command.__name__)(command)


def erase(
    ctx: typer.Context,
    *,
    lead: Subject = "",
    email: Email = "",
    phone: Phone = "",
    all_matches: AllMatches = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Forget a person: nobody can read their data any more, and nothing brings them back."""
    session = session_of(ctx)
    request = privacypb.EraseSubjectRequest(
        parent=session.parent, all_matches=all_matches, **_subject(session, lead, email, phone)
    )
    if not yes:
        whom = id_of(request.lead).removeprefix("leads/")
        agreed(f"Forget {whom or 'whoever has this address or number'} for ever?")
    erased = session.ask(LeadsClient, lambda leads: leads.privacy.erase_subject(request))
    session.show(erased, lambda: _erasures_view(erased))


def export(
    ctx: typer.Context,
    *,
    lead: Subject = "",
    email: Email = "",
    phone: Phone = "",
    all_matches: AllMatches = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write, readable by you alone.", dir_okay=False),
    ] = None,
) -> None:
    """Write all that is kept about a person, as JSON; each export is on the audit trail."""
    session = session_of(ctx)
    request = privacypb.ExportSubjectRequest(
        parent=session.parent, all_matches=all_matches, **_subject(session, lead, email, phone)
    )
    if output is not None and output.exists():
        raise typer.BadParameter(f"{output} is there already")
    answer = session.ask(LeadsClient, lambda leads: leads.privacy.export_subject(request))
    if output is None:
        session.show_document(json.loads(answer.json))
        return
    # Whoever may read the folder may not read the person.
    with os.fdopen(
        os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
    ) as file:
        file.write(answer.json)
    session.note(f"Written to {output}.")


def consent(
    ctx: typer.Context,
    *,
    lead: Lead,
    purpose: Annotated[str, typer.Argument(metavar="PURPOSE", help="What for: marketing_email.")],
    state: Annotated[str, typer.Argument(metavar="granted|withdrawn")],
    basis: Annotated[
        str, typer.Option(help="consent, contract, legal_obligation, legitimate_interest.")
    ] = "consent",
    source: Annotated[str, typer.Option(help="Where it was said: webinar-form.")] = "",
    note: Annotated[
        str, typer.Option(help="What proves it, kept sealed; - reads it from standard input.")
    ] = "",
    at: At = "",
) -> None:
    """Record that a person agreed to something, or withdrew."""
    session = session_of(ctx)
    said = privacypb.Consent(
        purpose=purpose,
        state=number_of(privacypb.Consent.State, state),
        lawful_basis=number_of(privacypb.LawfulBasis, basis),
        source=source,
        note=_given(note),
        occur_time=timestamp_of(at),
    )
    request = privacypb.RecordConsentRequest(parent=session.name("leads", lead), consent=said)
    recorded = session.ask(LeadsClient, lambda leads: leads.privacy.record_consent(request))
    session.show(recorded, lambda: _consents_view([recorded]))


def consents(ctx: typer.Context, *, lead: Lead, limit: Limit = 50) -> None:
    """List what was recorded of a person's consent, newest first; notes only with --format json."""
    session = session_of(ctx)
    request = privacypb.ListConsentsRequest(parent=session.name("leads", lead), page_size=min(limit, 1_000))
    found, more = session.ask(LeadsClient, lambda leads: taken(leads.privacy.consents(request), limit))
    session.show_list("consents", found, lambda: _consents_view(found), more=more)


def _subject(session: Session, lead: str, email: str, phone: str) -> dict[str, str]:
    if sum(map(bool, (lead, email, phone))) != 1:
        raise typer.BadParameter("give one of: a LEAD, --email or --phone")
    if lead:
        return {"lead": session.name("leads", lead)}
    return {"email": _given(email)} if email else {"phone": _given(phone)}


def _given(text: str) -> str:
    return sys.stdin.readline().strip() if text == _STANDARD_INPUT else text


def _erasures_view(erased: privacypb.EraseSubjectResponse) -> RenderableType:
    rows = [
        (
            id_of(each.lead).removeprefix("leads/"),
            when(each.erase_time),
            when(each.finish_time) or "soon",
            when(each.backup_expire_time),
        )
        for each in erased.erasures
    ]
    return table(("lead", "forgotten", "last trace gone", "backups to be destroyed by"), rows)


def _consents_view(found: list[privacypb.Consent]) -> RenderableType:
    rows = [
        (
            each.purpose,
            enum_word(privacypb.Consent.State.DESCRIPTOR, each.state),
            enum_word(privacypb.LawfulBasis.DESCRIPTOR, each.lawful_basis),
            each.source,
            when(each.occur_time),
            when(each.record_time),
        )
        for each in found
    ]
    return table(("purpose", "said", "basis", "where", "when", "recorded"), rows)
