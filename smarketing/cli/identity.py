"""`smarketing leads duplicates | merge | unmerge | not-the-same | distinctions`: who is who."""

from typing import Annotated

import typer
from rich.console import RenderableType

from smarketing.api.leads.v1 import identity_pb2 as identitypb
from smarketing.cli.leads import taken
from smarketing.cli.options import Limit
from smarketing.cli.output import id_of, record, table, when
from smarketing.cli.session import session_of
from smarketing.cli.views import short
from smarketing.client import LeadsClient
from smarketing.mapping.texts import enum_word

__all__ = ["register"]

_PAGE = 1_000

Lead = Annotated[str, typer.Argument(metavar="LEAD", help="A lead's id.")]
Other = Annotated[str, typer.Argument(metavar="OTHER", help="The other lead's id.")]
OnlyLead = Annotated[str, typer.Argument(metavar="LEAD", help="A lead's id; all leads when none.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the noun."""
    app.command("duplicates")(duplicates)
    app.command("merge")(merge)
    app.command("unmerge")(unmerge)
    app.command("not-the-same")(not_the_same)
    app.command("distinctions")(distinctions)


def duplicates(ctx: typer.Context, *, lead: OnlyLead = "-", limit: Limit = 50) -> None:
    """List pairs of leads that may be the same person, the surest first."""
    session = session_of(ctx)
    request = identitypb.ListPossibleDuplicatesRequest(
        parent=session.name("leads", lead), page_size=min(limit, _PAGE)
    )
    found, more = session.ask(
        LeadsClient, lambda leads: taken(leads.identity.possible_duplicates(request), limit)
    )
    signals = identitypb.MatchSignal.DESCRIPTOR
    rows = [
        (
            _lead(each.other_lead),
            _lead(each.lead),
            f"{each.confidence / 100:g}%",
            each.rule_id,
            ", ".join(enum_word(signals, signal) for signal in each.signals),
            when(each.detect_time),
        )
        for each in found
    ]
    columns = ("known", "came later", "surely", "rule", "seen", "since")
    session.show_list("possible_duplicates", found, lambda: table(columns, rows), more=more)


def merge(
    ctx: typer.Context,
    *,
    lead: Annotated[str, typer.Argument(metavar="LEAD", help="The lead to keep.")],
    other: Annotated[str, typer.Argument(metavar="OTHER", help="The lead that is the same person.")],
) -> None:
    """Say that two leads are the same person; `unmerge OTHER` takes it back."""
    session = session_of(ctx)
    request = identitypb.MergeLeadsRequest(
        name=session.name("leads", lead), merged_lead=session.name("leads", other)
    )
    merged = session.ask(LeadsClient, lambda leads: leads.identity.merge_leads(request))
    session.show(merged, lambda: _merge_view(merged))


def unmerge(
    ctx: typer.Context,
    *,
    lead: Annotated[str, typer.Argument(metavar="LEAD", help="The lead that was merged into another.")],
) -> None:
    """Take a merge back: every handoff of the merged lead stands where it stood."""
    session = session_of(ctx)
    request = identitypb.UnmergeLeadsRequest(name=session.name("leads", lead))
    parted = session.ask(LeadsClient, lambda leads: leads.identity.unmerge_leads(request))
    session.show(parted, lambda: _merge_view(parted))


def not_the_same(
    ctx: typer.Context,
    *,
    lead: Lead,
    other: Other,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Take that back.")] = False,
) -> None:
    """Say that two leads are two people: the pair is listed and merged no more."""
    session = session_of(ctx)
    name, other_lead = session.name("leads", lead), session.name("leads", other)

    async def said(leads: LeadsClient) -> identitypb.LeadDistinction:
        if withdraw:
            return await leads.identity.withdraw_distinction(
                identitypb.WithdrawDistinctionRequest(name=name, other_lead=other_lead)
            )
        return await leads.identity.distinguish_leads(
            identitypb.DistinguishLeadsRequest(name=name, other_lead=other_lead)
        )

    told = session.ask(LeadsClient, said)
    session.show(told, lambda: _distinctions_view([told]))
    if withdraw:
        session.note("Taken back: they may be listed and merged again.")


def distinctions(ctx: typer.Context, *, lead: OnlyLead = "-", limit: Limit = 50) -> None:
    """List which leads are said to be two people."""
    session = session_of(ctx)
    request = identitypb.ListDistinctionsRequest(
        parent=session.name("leads", lead), page_size=min(limit, _PAGE)
    )
    found, more = session.ask(LeadsClient, lambda leads: taken(leads.identity.distinctions(request), limit))
    session.show_list("distinctions", found, lambda: _distinctions_view(found), more=more)


def _lead(name: str) -> str:
    return id_of(name).removeprefix("leads/")


def _distinctions_view(found: list[identitypb.LeadDistinction]) -> RenderableType:
    rows = [
        (_lead(each.lead), _lead(each.other_lead), id_of(each.person), when(each.decide_time))
        for each in found
    ]
    return table(("lead", "other", "said by", "when"), rows)


def _merge_view(merged: identitypb.LeadMerge) -> RenderableType:
    return record(
        [
            ("kept", _lead(merged.lead)),
            ("merged", _lead(merged.merged_lead)),
            ("goes on", short(merged.handoff)),
            (
                "stand again" if merged.HasField("unmerge_time") else "void by it",
                ", ".join(short(each) for each in merged.merged_handoffs),
            ),
            ("merged at", when(merged.merge_time)),
            ("taken back", when(merged.unmerge_time)),
        ]
    )
