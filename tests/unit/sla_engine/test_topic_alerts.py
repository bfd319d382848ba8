"""Alerts that are of no clock reach people by the same way: budgets, and marketing's periods."""

from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import select

from services.sla.domain.agreement import Role
from services.sla.domain.alert import AlertState, ResolveReason, Topic
from services.sla.domain.budget_terms import BudgetTerms
from services.sla.domain.consequence import BudgetTrigger, Consequence, ConsequenceKind
from services.sla.domain.marketing_terms import Amount, LeadValue, MarketingTerms, Quota, QuotaPeriod
from services.sla.domain.notice import Channel, ChannelWay, Language
from services.sla.domain.terms import Mode
from services.sla.store import schema
from services.sla.store.notices import put_channel
from services.sla.store.topic_alerts import resolve_topics
from services.sla.store.tx import SlaTx
from services.sla.usecases.notices import Telling, tell_batch
from services.sla.usecases.promptly import do_what_is_due, next_instant
from smarketing.delivery import NewEndpoint, Sealer, create_endpoint
from tests.builders.sla_engine import (
    LEADER,
    MARKETING_MANAGER,
    MONDAY_NINE,
    SALES_MANAGER,
    TENANT,
    Engine,
    a_promise,
    some_terms,
)

SEALER = Sealer(bytes(32))
TELL = Consequence(
    id="tell",
    kind=ConsequenceKind.ALERT,
    budget=BudgetTrigger.EXHAUSTED,
    recipients=(Role.LEADERSHIP, Role.OTHER_PARTY),
)
QUOTA = Quota(period=QuotaPeriod.MONTH, value=Amount(currency="EUR", minor_units=1_000))
VALUED = (LeadValue(segment="", value=Amount(currency="EUR", minor_units=100)),)


class Office(Engine):
    """An engine that misses, and tells people of it."""

    @classmethod
    def under(cls, *consequences: Consequence, mode: Mode = Mode.ENFORCE, **changed: Any) -> "Office":
        office = cls(now=MONDAY_NINE - timedelta(days=60))
        promise = a_promise(budget=BudgetTerms(least_settled=4), consequences=consequences)
        office.agree(some_terms(promise, mode=mode, **changed))
        office.now = MONDAY_NINE
        return office

    def miss(self, count: int = 5) -> None:
        for number in range(count):
            handoff = f"{TENANT}/leads/l{number}/handoffs/h1"
            self.submit(handoff)
            self.assign(handoff)
        self.advance(hours=4, minutes=1)
        self.sweep()
        self.do_what_is_due()

    def do_what_is_due(self) -> None:
        with self.database.writer_engine.begin() as connection:
            do_what_is_due(connection, self.archive, now=self.now)

    def pass_by(self, until: datetime) -> None:
        """Turn the clock there, doing on the way whatever is due when it is."""
        while True:
            with self.database.reading() as connection:
                following = next_instant(connection)
            if following is None or following > until:
                break
            self.now = max(self.now, following)
            self.do_what_is_due()
        self.now = until

    def reach(self, person: str, language: Language) -> None:
        channel = Channel(
            tenant="default",
            person=person,
            way=ChannelWay.EMAIL,
            endpoint_id=f"{person.rsplit('/', 1)[1]}-email",
            language=language,
            update_time=self.now,
        )
        with self.database.writer_engine.begin() as connection:
            put_channel(connection, channel, "x@example.com", sealer=SEALER, now=self.now)

    def listen(self) -> None:
        new = NewEndpoint(
            tenant="default",
            endpoint_id="house",
            url="https://example.com/hook",
            display_name="",
            secret="whsec_" + "A" * 32,
        )
        with self.database.writer_engine.begin() as connection:
            create_endpoint(connection, schema.delivery_tables, new, sealer=SEALER, now=self.now)

    def tell_people(self) -> None:
        self.restart()
        with self.database.writer_engine.begin() as connection:
            tell_batch(connection, self.archive, Telling(link_base="https://s.example"), now=self.now)

    def sent(self, endpoint: str) -> list[dict[str, Any]]:
        table = schema.delivery_tables.message
        query = select(table.c.payload).where(table.c.endpoint_id == endpoint).order_by(table.c.create_time)
        with self.database.reading() as connection:
            return [orjson.loads(payload) for payload in connection.execute(query).scalars()]

    def of_no_clock(self) -> list[tuple[Topic, AlertState]]:
        return [(each.topic, each.state) for each in self.alerts() if each.topic is not None]


def test_whom_a_budgets_alert_names_is_told_once_when_it_is_used_up() -> None:
    office = Office.under(TELL)
    office.miss()
    office.restart()
    office.do_what_is_due()

    (alert,) = [each for each in office.alerts() if each.topic is not None]
    assert (alert.topic, alert.commitment_id, alert.rung_id) == (
        Topic.BUDGET_EXHAUSTED,
        "first-follow-up",
        "tell",
    )
    assert alert.recipients == tuple(sorted((LEADER, MARKETING_MANAGER)))
    assert (alert.clock, alert.handoff, alert.due_time, alert.missed) == ("", "", office.now, True)


def test_the_manager_whom_a_budgets_alert_names_is_that_of_the_party_that_promised() -> None:
    office = Office.under(
        Consequence(
            id="tell",
            kind=ConsequenceKind.ALERT,
            budget=BudgetTrigger.EXHAUSTED,
            recipients=(Role.MANAGER, Role.OWNER),
        )
    )
    office.miss()

    assert [each.recipients for each in office.alerts() if each.topic is not None] == [(SALES_MANAGER,)]


def test_a_budgets_alert_is_over_when_its_state_is() -> None:
    office = Office.under(TELL)
    office.miss()
    office.pass_by(office.now + timedelta(days=60))

    assert office.of_no_clock() == [(Topic.BUDGET_EXHAUSTED, AlertState.RESOLVED)]
    (alert,) = [each for each in office.alerts() if each.topic is not None]
    assert alert.resolve_reason is ResolveReason.RETRACTED


def test_an_agreement_that_only_observes_alerts_nobody_of_its_budget() -> None:
    office = Office.under(TELL, mode=Mode.OBSERVE)
    office.miss()

    assert office.of_no_clock() == []


def test_a_budget_is_told_by_mail_and_by_the_tenants_webhook_in_each_readers_language() -> None:
    office = Office.under(TELL)
    office.reach(LEADER, Language.ENGLISH)
    office.reach(MARKETING_MANAGER, Language.KOREAN)
    office.listen()
    office.miss()
    office.advance(minutes=2)
    office.tell_people()
    office.tell_people()

    (english,) = office.sent("leader-email")
    assert english["subject"] == "Error budget used up: First follow up"
    assert english["text"].splitlines() == [
        "Error budget used up: First follow up",
        "  Agreement: tenants/default/agreements/main",
        "  Commitment: first-follow-up",
        "  Since: 2026-09-21 13:01 Asia/Seoul",
        "  What to do: Do what the agreement says, and settle with the other side how it goes on.",
        "  https://s.example/tenants/default/agreements/main",
    ]
    (korean,) = office.sent("marketing-manager-email")
    assert korean["subject"] == "오류 예산 소진: First follow up"
    assert "할 일: 합의서에 정한 조치를 하고" in korean["text"]
    of_budgets = [each for each in office.sent("house") if each["topic"] != "CLOCK"]
    (hook,) = of_budgets
    assert hook["text"] == "Error budget used up: First follow up."
    assert (hook["handoff"], hook["link"]) == ("", "/tenants/default/agreements/main")


def test_a_missed_period_is_told_by_mail_with_the_period_and_what_was_promised() -> None:
    marketing = MarketingTerms(lead_values=VALUED, quota=QUOTA)
    office = Office.under(marketing=marketing)
    office.reach(MARKETING_MANAGER, Language.ENGLISH)
    office.pass_by(datetime.fromisoformat("2026-10-01T00:00:00+09:00"))
    office.advance(minutes=2)
    office.tell_people()

    mail = office.sent("marketing-manager-email")[-1]
    assert "Missed in 2026-09: implied value against quota" in mail["text"]
    assert "  The period ends: 2026-10-01 00:00 Asia/Seoul" in mail["text"]
    assert "  https://s.example/tenants/default/agreements/main" in mail["text"]


def test_two_agreements_with_one_promise_of_the_same_name_keep_their_alerts_apart() -> None:
    office = Office.under(TELL)
    office.miss()
    (mine,) = [each for each in office.alerts() if each.topic is not None]

    with office.database.writer_engine.begin() as connection:
        tx = SlaTx(connection, office.archive, now=office.now)
        resolve_topics(
            tx,
            [Topic.BUDGET_EXHAUSTED],
            agreement="tenants/default/agreements/main-2",
            commitment_id="first-follow-up",
        )
        tx.flush()

    assert mine.state is AlertState.OPEN
    assert office.of_no_clock() == [(Topic.BUDGET_EXHAUSTED, AlertState.OPEN)]
    assert SALES_MANAGER not in mine.recipients
