"""Configuration files mean what deploy/default/README.md says, and every fault is found with its line."""

from datetime import timedelta
from pathlib import Path

import pytest

from smarketing.api.leads.v1 import directory_pb2 as directorypb
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.cli.configuration import Document, Kind, duration_message, read_documents
from smarketing.cli.kinds import READERS
from smarketing.mapping.yamltext import FileFaulty

DEFAULTS = Path(__file__).parents[4] / "deploy" / "default"


def documents(tmp_path: Path, text: str) -> list[Document]:
    path = tmp_path / "file.yaml"
    path.write_text(text, encoding="utf-8")
    return read_documents([path], "default", READERS)


def faults(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(FileFaulty) as raised:
        documents(tmp_path, text)
    return [fault.partition("file.yaml:")[2] for fault in raised.value.faults]


def test_the_files_of_a_fresh_install_are_valid() -> None:
    read = read_documents(sorted(DEFAULTS.glob("*.yaml")), "default", READERS)

    assert [document.kind for document in read] == [Kind.DIRECTORY, Kind.CALENDAR, Kind.AGREEMENT]


def test_ids_become_names_of_the_document_s_tenant(tmp_path: Path) -> None:
    (document,) = documents(
        tmp_path,
        """kind: Directory
tenant: acme
time_zone: Asia/Seoul
region_code: NO
currency_code: KRW
teams: [{id: sales, party: sales, manager: kim}]
people: [{id: kim, roles: [sales_manager, sales_rep], team: sales}]
queues: [{id: inbound, team: sales}]
routing:
  fallback_queue: inbound
  offer_duration: 30m
  rules: [{id: all, members: [kim, {person: lee, weight: 2}]}]
""",
    )

    team = directorypb.Team(
        name="tenants/acme/teams/sales", party=termspb.PARTY_SALES, manager="tenants/acme/people/kim"
    )
    kim = directorypb.Person(
        name="tenants/acme/people/kim",
        roles=[directorypb.ROLE_SALES_MANAGER, directorypb.ROLE_SALES_REP],
        team="tenants/acme/teams/sales",
    )
    rule = directorypb.RoutingRule(
        rule_id="all",
        members=[
            directorypb.RoutingMember(person="tenants/acme/people/kim"),
            directorypb.RoutingMember(person="tenants/acme/people/lee", weight=2),
        ],
    )
    routing = directorypb.Routing(
        rules=[rule],
        fallback_queue="tenants/acme/queues/inbound",
        offer_duration=duration_message(timedelta(minutes=30)),
    )
    queue = directorypb.Queue(name="tenants/acme/queues/inbound", team="tenants/acme/teams/sales")
    assert document.message == directorypb.Directory(
        name="tenants/acme/directory",
        time_zone="Asia/Seoul",
        region_code="NO",
        currency_code="KRW",
        teams=[team],
        people=[kim],
        queues=[queue],
        routing=routing,
    )


def test_a_routing_rule_says_when_it_is_for_and_what_its_members_must_have(tmp_path: Path) -> None:
    (document,) = documents(
        tmp_path,
        """
kind: Directory
time_zone: Asia/Seoul
currency_code: KRW
routing:
  fallback_queue: inbound
  account_owner_first: true
  previous_owner_cool_off: 30d
  rules:
    - id: korea
      when:
        territories: [kr]
        source_channels: [website_form]
        company_domains: [acme.com]
        min_score: 0
        min_value: {currency_code: KRW, minor_units: 5000}
      needs: {skills: [enterprise], territory: true, language: yes, calendar: seoul}
      members: [{person: kim, calendar: night}]
      queue: inbound
""",
    )

    assert isinstance(document.message, directorypb.Directory)
    routing = document.message.routing
    assert (routing.account_owner_first, routing.previous_owner_cool_off_duration.seconds) == (
        True,
        2_592_000,
    )
    assert list(routing.rules) == [
        directorypb.RoutingRule(
            rule_id="korea",
            condition=directorypb.RoutingCondition(
                territories=["kr"],
                source_channels=[termspb.SOURCE_CHANNEL_WEBSITE_FORM],
                company_domains=["acme.com"],
                min_score=0,
                min_value=termspb.Money(currency_code="KRW", minor_units=5000),
            ),
            needs=directorypb.RoutingNeeds(
                skills=["enterprise"],
                territory=True,
                language=True,
                calendar="tenants/default/calendars/seoul",
            ),
            members=[
                directorypb.RoutingMember(
                    person="tenants/default/people/kim", calendar="tenants/default/calendars/night"
                )
            ],
            queue="tenants/default/queues/inbound",
        )
    ]


def test_windows_stand_on_their_weekday(tmp_path: Path) -> None:
    (document,) = documents(
        tmp_path,
        "{kind: Calendar, id: office, time_zone: UTC, week: {tuesday: [09:00-12:00, 22:00-06:00]}}",
    )

    assert document.own_id == "office"
    assert document.message == slapb.CalendarVersion(
        time_zone="UTC",
        weekly_windows=[
            slapb.WeeklyWindow(iso_weekday=2, open_time="09:00", close_time="12:00"),
            slapb.WeeklyWindow(iso_weekday=2, open_time="22:00", close_time="06:00"),
        ],
    )


@pytest.mark.parametrize(
    ("at", "rung"),
    [
        ("50%", slapb.Rung(percent_of_target=50)),
        ("due", slapb.Rung(offset_from_due_duration=duration_message(timedelta(0)))),
        ("due - 15m", slapb.Rung(offset_from_due_duration=duration_message(timedelta(minutes=-15)))),
        ("due + 1h", slapb.Rung(offset_from_due_duration=duration_message(timedelta(hours=1)))),
    ],
)
def test_rungs_fire_at_a_share_of_the_target_or_beside_due(tmp_path: Path, at: str, rung: slapb.Rung) -> None:
    (document,) = documents(
        tmp_path,
        f"""kind: Agreement
id: handover
calendar: office
commitments:
  - id: accept
    parties: [sales]
    kind: accept
    basis: business
    objective: 99.5%
    tiers: [{{target: 2h}}]
    rungs: [{{id: r, at: {at}, tell: [owner]}}]
""",
    )

    version = document.message
    assert isinstance(version, slapb.AgreementVersion)
    (commitment,) = version.commitments
    rung.rung_id = "r"
    rung.recipients.append(slapb.RECIPIENT_ROLE_OWNER)
    assert list(commitment.rungs) == [rung]
    assert commitment.objective_basis_points == 9_950
    assert (version.kind, version.mode) == (
        slapb.AgreementVersion.KIND_INTERNAL,
        slapb.AgreementVersion.MODE_OBSERVE,
    )


def test_documents_are_applied_in_the_order_of_their_kinds(tmp_path: Path) -> None:
    read = documents(
        tmp_path,
        """kind: WebhookEndpoint
url: https://example.com/hook
---
{kind: Leave, person: kim, start_time: 2026-01-01T00:00:00Z, end_time: 2026-01-02T00:00:00Z}
---
{kind: Calendar, id: office, time_zone: UTC, week: {}}
""",
    )

    assert [document.kind for document in read] == [Kind.CALENDAR, Kind.LEAVE, Kind.WEBHOOK_ENDPOINT]
    assert read[1].own_id == "tenants/default/people/kim"


def test_every_fault_of_every_document_is_told_with_its_line(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        """kind: Calendar
id: Office
time_zone: UTC
week:
  monday: [9-5]
  funday: []
---
kind: Leave
person: kim
start_time: 2026-01-01T00:00:00
---
kind: Castle
---
kind: WebhookEndpoint
url: a
url: b
""",
    )

    assert sorted({int(fault.split(":")[0]) for fault in found}) == [2, 5, 6, 8, 10, 12, 16]


def test_a_tenant_has_one_directory(tmp_path: Path) -> None:
    one = "{kind: Directory, time_zone: UTC, currency_code: EUR, routing: {fallback_queue: q}}\n"

    found = faults(tmp_path, f"{one}---\n{one}")

    assert all("one of several directories of default" in fault for fault in found)
    assert len(found) == 2
