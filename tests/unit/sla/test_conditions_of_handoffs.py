"""What the leads log says of a handoff can be asked for, and agreements are kept as they were written."""

from pathlib import Path

import pytest

from services.sla.domain.condition import Attributes, Condition
from services.sla.domain.timeline import FactKind
from services.sla.store.rows import told_of_row, told_row
from services.sla.wire.agreements import terms_bytes, terms_from_bytes, terms_of
from services.sla.wire.facts import told_of
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.cli.configuration import read_documents
from smarketing.cli.kinds import READERS
from tests.builders.sla_engine import HANDOFF

ROOT = Path(__file__).parents[3]
AGREEMENTS = sorted(
    path
    for folder in ("deploy/default", "examples", "services/demo/company")
    for path in (ROOT / folder).glob("*.yaml")
    if "kind: Agreement" in path.read_text()
)


def meant(expression: str, attributes: Attributes) -> bool:
    return Condition(expression=expression).matches(attributes)


def submitted(**said: object) -> eventlogpb.Event:
    payload = leadeventspb.HandoffSubmitted(
        handoff=HANDOFF,
        qualification=leadspb.Qualification(**said),  # type: ignore[arg-type] # forwarded as written
    )
    event = eventlogpb.Event(position=1)
    event.payload.Pack(payload)
    return event


def test_everything_that_the_log_says_of_a_handoff_can_be_asked_for() -> None:
    event = submitted(
        source="Spring fair",
        source_channel=termspb.SOURCE_CHANNEL_INBOUND_EVENT,
        segment="smb",
        region="EMEA",
        product="crane",
        lead_type="inbound",
        language="ko",
        definition="mql-7",
        score=42,
        value=termspb.Money(currency_code="EUR", minor_units=1_000_000),
    )

    (told,) = told_of(event)

    assert told.fact.kind is FactKind.SUBMITTED
    kept = told_of_row(told_row(told)).fact.attributes
    assert kept == told.fact.attributes
    assert kept is not None
    for expression in (
        "source == 'Spring fair'",
        "source_channel == 'inbound_event'",
        "segment == 'smb' && region == 'EMEA'",
        "product == 'crane' && lead_type == 'inbound'",
        "language == 'ko' && definition == 'mql-7'",
        "score >= 42 && score < 43",
        "value >= 1000000 && currency == 'EUR'",
    ):
        assert meant(expression, kept), expression


def test_the_tenants_own_score_decides_and_the_senders_does_where_there_is_none() -> None:
    rating = leadspb.Rating(score=81, band="HOT")

    (rated,) = told_of(submitted(score=5, rating=rating))
    (unrated,) = told_of(submitted(score=5))

    kept = told_of_row(told_row(rated)).fact.attributes
    assert kept is not None
    assert unrated.fact.attributes is not None
    assert meant("score == 81 && band == 'HOT'", kept)
    assert meant("score == 5", unrated.fact.attributes)
    assert not meant("band != 'HOT'", unrated.fact.attributes)


@pytest.mark.parametrize(
    "expression",
    ["source_channel != 'email'", "score < 100", "value >= 0", "currency != 'USD'", "segment != 'smb'"],
)
def test_what_the_log_does_not_say_meets_no_question(expression: str) -> None:
    (told,) = told_of(submitted())

    assert told.fact.attributes is not None
    assert not meant(expression, told.fact.attributes)


def test_lists_and_a_condition_must_both_hold() -> None:
    both = Condition(regions=frozenset({"EMEA"}), expression="score >= 80")

    assert both.matches(Attributes(region="EMEA", score=80))
    assert not both.matches(Attributes(region="EMEA", score=79))
    assert not both.matches(Attributes(region="APAC", score=80))


@pytest.mark.parametrize("path", AGREEMENTS, ids=lambda path: path.stem)
def test_what_an_agreement_says_is_kept_as_it_was_written(path: Path) -> None:
    (document,) = read_documents([path], "default", READERS)
    terms = terms_of(document.message)  # type: ignore[arg-type] # an agreement's

    kept = terms_bytes(terms)

    assert terms_from_bytes(kept) == terms
    assert terms_bytes(terms_from_bytes(kept)) == kept


def test_the_full_example_says_something_of_every_part() -> None:
    (document,) = read_documents([ROOT / "examples" / "agreement.yaml"], "default", READERS)
    said = {field.name for field, _ in document.message.ListFields()}
    of_commitments = {
        field.name
        for commitment in document.message.commitments  # type: ignore[attr-defined] # an agreement's
        for field, _ in commitment.ListFields()
    }

    not_ours = {"name", "etag", "state", "acceptances", "effective_time", "retire_time", "consent"}
    # Of another kind of agreement, or added by the command.
    elsewhere = {"absent_parties", "customer_reference", "calendar_version"}
    assert {field.name for field in document.message.DESCRIPTOR.fields} - not_ours - elsewhere == said
    assert {field.name for field in slapb.Commitment.DESCRIPTOR.fields} == of_commitments
