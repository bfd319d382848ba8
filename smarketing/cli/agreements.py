"""`smarketing sla terms | targets | who | rules`: what is agreed, what could be, who answers, what alerts."""

import sys
from collections.abc import Iterable, Iterator
from typing import Annotated

import typer
from google.protobuf.descriptor import EnumDescriptor
from rich.console import Group, RenderableType

from smarketing.api.sla.v1 import agreements_pb2 as agreementspb
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.cli.alerting import BurnUnreachable, promised_by, rules_text
from smarketing.cli.leads import taken
from smarketing.cli.options import timestamp_of
from smarketing.cli.output import id_of, plain, record, span, table, when
from smarketing.cli.session import Exit, session_of
from smarketing.client import SlaClient
from smarketing.mapping.texts import enum_word, money_text

__all__ = ["register"]

Version = Annotated[str, typer.Argument(help="AGREEMENT/versions/VERSION.")]
_SILENCES = {
    "TOO_FEW": "fewer than 30 settled",
    "NOT_REACHED": "more than a fifth never done",
}


def register(app: typer.Typer) -> None:
    """Add the commands to the noun."""
    app.command("terms")(terms)
    app.command("targets")(targets)
    app.command("who")(who)
    app.command("rules")(rules)


def terms(ctx: typer.Context, version: Version) -> None:
    """Show all that a version says, for whoever is to accept it."""
    session = session_of(ctx)
    request = slapb.GetAgreementVersionRequest(name=session.name("agreements", version))
    found = session.ask(SlaClient, lambda sla: sla.get_agreement_version(request))
    session.show(found, lambda: Group(*_terms(found)))


def targets(
    ctx: typer.Context,
    *,
    version: Version,
    start: Annotated[str, typer.Option(help="Clocks due from this instant on; 28 days before the end.")] = "",
    end: Annotated[str, typer.Option(help="Clocks due before this instant; now.")] = "",
) -> None:
    """Propose targets from how long your own clocks took; silent where fewer than 30 are settled."""
    session = session_of(ctx)
    request = agreementspb.ProposeTargetsRequest(
        name=session.name("agreements", version),
        start_time=timestamp_of(start),
        end_time=timestamp_of(end),
    )
    found = session.ask(SlaClient, lambda sla: sla.agreements.propose_targets(request))
    session.show(found, lambda: _proposals(found))


def who(ctx: typer.Context, clock: Annotated[str, typer.Argument(help="The clock's id.")]) -> None:
    """Tell who owns a clock now."""
    session = session_of(ctx)
    request = agreementspb.GetResponsibilityRequest(name=session.name("clocks", clock))
    found = session.ask(SlaClient, lambda sla: sla.agreements.get_responsibility(request))
    session.show(found, lambda: _responsibility(found))


def rules(ctx: typer.Context) -> None:
    """Write the rules by which Prometheus alerts, out of the agreements in force."""
    session = session_of(ctx)
    request = slapb.ListAgreementVersionsRequest(parent=session.name("agreements", "-"))
    found, _ = session.ask(SlaClient, lambda sla: taken(sla.agreement_versions(request), 0))
    in_force = [each for each in found if each.state == slapb.AgreementVersion.STATE_ACTIVE]
    promises = [each for version in in_force for each in promised_by(version, session.settings.tenant)]
    try:
        text = rules_text(promises)
    except BurnUnreachable as error:
        session.note(str(error))
        raise typer.Exit(Exit.REFUSED) from error
    # As it is, whatever the terminal: a program reads it.
    sys.stdout.write(text)


def _responsibility(found: agreementspb.Responsibility) -> RenderableType:
    return record(
        [
            ("commitment", found.commitment_id),
            ("owner", id_of(found.owner) or "nobody yet"),
            ("accountable", _ids(found.accountable)),
            ("responsible", _ids(found.responsible)),
            ("consulted", _ids(found.consulted)),
            ("informed", _ids(found.informed)),
            ("by", "the agreement" if found.agreed else "default"),
        ]
    )


def _proposals(found: agreementspb.ProposeTargetsResponse) -> RenderableType:
    rows = [
        (
            each.commitment_id,
            enum_word(slapb.TimeBasis.DESCRIPTOR, each.basis),
            span(each.present_target_duration),
            f"{each.settled_count} ({each.done_count} done)",
            span(each.p50_duration) if each.HasField("p50_duration") else "",
            span(each.p80_duration) if each.HasField("p80_duration") else "",
            span(each.proposed_target_duration)
            if each.HasField("proposed_target_duration")
            else _SILENCES.get(each.undefined_reason, each.undefined_reason),
        )
        for each in found.target_proposals
    ]
    columns = ("commitment", "time", "target now", "settled", "half within", "4 of 5 within", "proposal")
    return table(columns, rows, title=f"Clocks due {when(found.start_time)} to {when(found.end_time)}")


def _terms(version: slapb.AgreementVersion) -> Iterator[RenderableType]:
    kinds, modes = slapb.AgreementVersion.Kind.DESCRIPTOR, slapb.AgreementVersion.Mode.DESCRIPTOR
    yield record(
        [
            ("version", id_of(version.name)),
            ("title", version.title),
            ("between", enum_word(kinds, version.kind)),
            ("mode", enum_word(modes, version.mode)),
            ("state", enum_word(slapb.AgreementVersion.State.DESCRIPTOR, version.state)),
            ("by the word of", enum_word(slapb.AgreementVersion.Consent.DESCRIPTOR, version.consent)),
            ("absent", _words(termspb.Party.DESCRIPTOR, version.absent_parties)),
            ("customer's contract", version.customer_reference),
            ("which handoffs", version.scope),
            ("calendar", id_of(version.calendar_version)),
        ]
    )
    yield from _marketing(version)
    for commitment in version.commitments:
        yield plain("")
        yield _commitment(commitment)


def _marketing(version: slapb.AgreementVersion) -> Iterator[RenderableType]:
    if not version.HasField("marketing_terms"):
        return
    said = version.marketing_terms
    yield plain("")
    shares = (
        ("conformance, at least", said.minimum_conformance_basis_points),
        ("completeness, at least", said.minimum_completeness_basis_points),
        ("rejections, at most", said.maximum_rejected_basis_points),
    )
    yield record(
        [
            ("MQL definition", said.mql_definition),
            ("quota", _quota(said)),
            *((name, f"{share / 100:g}%" if share else "") for name, share in shares),
        ]
    )
    rows = [(each.segment or "all others", money_text(each.value)) for each in said.lead_values]
    if rows:
        yield table(("segment", "worth of a lead"), rows)


def _quota(said: slapb.MarketingTerms) -> str:
    if not said.HasField("quota"):
        return ""
    quota = said.quota
    period = enum_word(slapb.MarketingQuota.Period.DESCRIPTOR, quota.period)
    least, most = quota.minimum_pace_percent or 80, quota.maximum_pace_percent or 125
    return f"{money_text(quota.value)} each {period}, at a pace of {least}% to {most}%"


def _commitment(commitment: slapb.Commitment) -> RenderableType:
    kinds, role = slapb.CommitmentKind.DESCRIPTOR, slapb.RecipientRole.DESCRIPTOR
    parts = commitment.responsibilities
    return record(
        [
            ("commitment", f"{commitment.commitment_id}: {commitment.title}"),
            ("promised by", _words(termspb.Party.DESCRIPTOR, commitment.parties)),
            ("what", enum_word(kinds, commitment.kind)),
            ("objective", f"{commitment.objective_basis_points / 100:g}%"),
            ("which handoffs", commitment.condition),
            ("targets", "; ".join(_tier(tier, commitment.basis) for tier in commitment.tiers)),
            ("ladder", "; ".join(_rung(rung) for rung in commitment.rungs)),
            ("accountable", enum_word(role, parts.accountable) if parts.accountable else ""),
            ("responsible", _words(role, parts.responsible)),
            ("consulted", _words(role, parts.consulted)),
            ("informed", _words(role, parts.informed)),
            ("what follows", "; ".join(_consequence(each) for each in commitment.consequences)),
        ]
    )


def _tier(tier: slapb.Tier, basis: slapb.TimeBasis.ValueType) -> str:
    match = tier.match
    asked = [
        _words(termspb.SourceChannel.DESCRIPTOR, match.source_channels),
        ", ".join(match.segments),
        ", ".join(match.regions),
        f"score from {match.minimum_score}" if match.HasField("minimum_score") else "",
        tier.condition,
    ]
    given = f"{span(tier.target_duration)} {enum_word(slapb.TimeBasis.DESCRIPTOR, basis)} time"
    meant = " and ".join(part for part in asked if part)
    return f"{given} if {meant}" if meant else given


def _rung(rung: slapb.Rung) -> str:
    offset = rung.offset_from_due_duration.ToTimedelta()
    at = f"{rung.percent_of_target}%"
    if rung.WhichOneof("instant") == "offset_from_due_duration":
        at = f"due {'+' if offset.total_seconds() > 0 else ''}{span(offset)}" if offset else "due"
    return f"{rung.rung_id} at {at} to {_words(slapb.RecipientRole.DESCRIPTOR, rung.recipients)}"


def _consequence(each: slapb.Consequence) -> str:
    kind = enum_word(slapb.ConsequenceKind.DESCRIPTOR, each.kind)
    much = f" {each.percent}%" if each.HasField("percent") else ""
    told = f" to {_words(slapb.RecipientRole.DESCRIPTOR, each.recipients)}" if each.recipients else ""
    if each.WhichOneof("trigger") == "rung_id":
        return f"{kind}{much}{told} on {each.rung_id}"
    state = enum_word(slapb.BudgetTrigger.DESCRIPTOR, each.budget_trigger)
    return f"{kind}{much}{told} when the budget is at {state}"


def _ids(names: Iterable[str]) -> str:
    return ", ".join(id_of(name) for name in names)


def _words(descriptor: EnumDescriptor, numbers: Iterable[int]) -> str:
    return ", ".join(enum_word(descriptor, number) for number in numbers)
