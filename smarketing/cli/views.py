"""How the resources of `leads` look in a table."""

from collections.abc import Sequence

from rich.console import RenderableType

from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.cli.output import id_of, record, table, when
from smarketing.mapping.texts import enum_word, money_text

__all__ = ["follow_up_view", "handoff_view", "handoffs_view", "lead_view", "offers_view", "opportunity_view"]


def handoffs_view(handoffs: Sequence[leadspb.Handoff]) -> RenderableType:
    """Handoffs, one a row."""
    return table(
        ("handoff", "state", "owner or queue", "source", "next", "due"),
        [
            (
                short(handoff.name),
                state_of(handoff),
                id_of(handoff.owner or handoff.queue),
                handoff.qualification.source,
                next_of(handoff),
                when(handoff.next_due_time),
            )
            for handoff in handoffs
        ],
    )


def offers_view(handoffs: Sequence[leadspb.Handoff]) -> RenderableType:
    """Handoffs with their open offer, one a row."""
    return table(
        ("handoff", "offered to", "state", "expires", "source", "score"),
        [
            (
                short(handoff.name),
                id_of(handoff.offer.assignee),
                enum_word(leadspb.Offer.State.DESCRIPTOR, handoff.offer.state),
                when(handoff.offer.expire_time),
                handoff.qualification.source,
                str(handoff.qualification.score) if handoff.qualification.HasField("score") else "",
            )
            for handoff in handoffs
        ],
    )


def handoff_view(handoff: leadspb.Handoff) -> RenderableType:
    """One handoff."""
    qualification = handoff.qualification
    channel = enum_word(termspb.SourceChannel.DESCRIPTOR, qualification.source_channel)
    return record(
        [
            ("handoff", short(handoff.name)),
            ("state", state_of(handoff)),
            ("owner", id_of(handoff.owner)),
            ("queue", id_of(handoff.queue)),
            ("next", next_of(handoff)),
            ("due", when(handoff.next_due_time)),
            ("sender", f"{handoff.source_system} {handoff.external_id}".strip()),
            ("source", " / ".join(filter(None, [qualification.source, channel, qualification.campaign]))),
            ("segment", qualification.segment),
            ("submitted", when(handoff.submit_time)),
            ("accepted", when(handoff.accept_time)),
            ("first follow-up", when(handoff.first_follow_up_time)),
            ("follow-ups", str(handoff.follow_up_count or "")),
            ("closed", when(handoff.close_time)),
            ("reason", handoff.reason_code),
            ("counted on", enum_word(termspb.Party.DESCRIPTOR, handoff.accountable_party)),
            ("opportunity", id_of(handoff.opportunity)),
            ("history", "archived" if handoff.archived else "yes" if handoff.historical else ""),
            ("etag", handoff.etag),
        ]
    )


def lead_view(lead: leadspb.Lead) -> RenderableType:
    """One lead with its personal data."""
    contact = lead.contact
    return record(
        [
            ("lead", id_of(lead.name).removeprefix("leads/")),
            ("name", f"{contact.given_name} {contact.family_name}".strip()),
            ("e-mail", contact.email),
            ("phone", contact.phone),
            ("company", contact.company),
            ("job title", contact.job_title),
            *((key, contact.attributes[key]) for key in sorted(contact.attributes)),
            ("handoffs", str(lead.handoff_count)),
            ("first seen", when(lead.create_time)),
            ("erased", when(lead.erase_time)),
        ]
    )


def follow_up_view(follow_up: leadspb.FollowUp) -> RenderableType:
    """One follow-up."""
    return record(
        [
            ("follow-up", id_of(follow_up.name)),
            ("person", id_of(follow_up.person)),
            ("channel", enum_word(termspb.FollowUpChannel.DESCRIPTOR, follow_up.channel)),
            ("happened", when(follow_up.occur_time)),
            ("grade", enum_word(termspb.EvidenceGrade.DESCRIPTOR, follow_up.grade)),
            ("contact", "yes" if follow_up.contact else "no"),
        ]
    )


def leads_view(leads: Sequence[leadspb.Lead]) -> RenderableType:
    """Leads with their personal data, one a row."""
    return table(
        ("lead", "name", "e-mail", "phone", "company", "handoffs"),
        [
            (
                id_of(lead.name),
                f"{lead.contact.given_name} {lead.contact.family_name}".strip(),
                lead.contact.email,
                lead.contact.phone,
                lead.contact.company,
                str(lead.handoff_count),
            )
            for lead in leads
        ],
    )


def follow_ups_view(follow_ups: Sequence[leadspb.FollowUp]) -> RenderableType:
    """Follow-ups, one a row."""
    return table(
        ("happened", "person", "channel", "contact", "grade"),
        [
            (
                when(follow_up.occur_time),
                id_of(follow_up.person),
                enum_word(termspb.FollowUpChannel.DESCRIPTOR, follow_up.channel),
                "yes" if follow_up.contact else "no",
                enum_word(termspb.EvidenceGrade.DESCRIPTOR, follow_up.grade),
            )
            for follow_up in follow_ups
        ],
    )


def opportunity_view(opportunity: leadspb.Opportunity) -> RenderableType:
    """One opportunity."""
    return record(
        [
            ("opportunity", id_of(opportunity.name)),
            ("state", enum_word(leadspb.Opportunity.State.DESCRIPTOR, opportunity.state)),
            ("handoff", short(opportunity.handoff)),
            ("owner", id_of(opportunity.owner)),
            ("amount", money_text(opportunity.amount) if opportunity.HasField("amount") else ""),
            ("closed", when(opportunity.close_time)),
            ("reason", opportunity.reason_code),
        ]
    )


def short(handoff: str) -> str:
    """Return a handoff as a person may write it: `LEAD/NUMBER`."""
    return id_of(handoff).removeprefix("leads/").replace("/handoffs/", "/")


def state_of(handoff: leadspb.Handoff) -> str:
    """Return a handoff's state in words."""
    return enum_word(leadspb.Handoff.State.DESCRIPTOR, handoff.state)


def next_of(handoff: leadspb.Handoff) -> str:
    """Return what to do next in words."""
    return enum_word(leadspb.Handoff.NextAction.DESCRIPTOR, handoff.next_action)
