"""Marketing's promises for a period as they are settled, and who is told how a period goes."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from services.sla.domain.alert import AlertState, ResolveReason, Topic
from services.sla.domain.marketing_terms import Amount, LeadValue, MarketingTerms, Quota, QuotaPeriod
from services.sla.domain.terms import Mode
from services.sla.store import schema
from services.sla.store.tx import SlaTx
from services.sla.usecases.alerts import OnAlert, Snooze, acknowledge, resolve, snooze
from services.sla.usecases.promptly import Promptly, do_what_is_due, next_instant
from smarketing.api.leads.v1 import disputes_pb2 as disputespb
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.leads.v1 import scoring_pb2 as scoringpb
from smarketing.api.sla.v1 import periods_pb2 as periodspb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.sql import Writer
from tests.builders.sla_engine import MARKETING_MANAGER, REP, SALES, TENANT, Engine, some_terms

AUGUST = datetime.fromisoformat("2026-08-31T12:00:00+09:00")
SEPTEMBER = datetime.fromisoformat("2026-09-01T00:00:00+09:00")
END = datetime.fromisoformat("2026-10-01T00:00:00+09:00")
MICROSECOND = timedelta(microseconds=1)


def worth(minor_units: int) -> Amount:
    return Amount(currency="EUR", minor_units=minor_units)


VALUED = (LeadValue(segment="", value=worth(100)),)
QUOTA = Quota(period=QuotaPeriod.MONTH, value=worth(1_000))
ONLY_QUOTA = MarketingTerms(lead_values=VALUED, quota=QUOTA)
SHARES = MarketingTerms(least_conformance=8_000, least_completeness=9_000, most_rejected=2_000)


class Campaign(Engine):
    """An engine agreed to before September begins."""

    handoffs: int = 0

    @classmethod
    def under(cls, terms: MarketingTerms, **changed: Any) -> "Campaign":
        campaign = cls(now=AUGUST)
        campaign.agree(some_terms(marketing=terms, **changed))
        return campaign

    def hand_over(self, count: int = 1, **changed: Any) -> str:
        for _ in range(count):
            self.handoffs += 1
            handoff = f"{TENANT}/leads/l{self.handoffs}/handoffs/h1"
            self.submit(handoff, **changed)
        return handoff

    def reach(self, instant: datetime | str) -> None:
        """Turn the clock there, doing on the way whatever is due when it is, a restart between all of it."""
        end = instant if isinstance(instant, datetime) else datetime.fromisoformat(instant)
        while True:
            with self.database.writer_engine.begin() as connection:
                following = next_instant(connection)
                if following is None or following > end:
                    break
                self.now = max(self.now, following)
                if not do_what_is_due(connection, self.archive, now=self.now):
                    # A rejection is final in the instant after.
                    self.now += MICROSECOND
            self.restart()
        self.now = end

    def settled(self) -> list[dict[str, str]]:
        kind = periodspb.MarketingPeriodSettled.DESCRIPTOR.full_name
        said = [periodspb.MarketingPeriodSettled.FromString(payload) for payload in self.payloads_of(kind)]
        kinds, verdicts = periodspb.PeriodPromise.Kind.Name, periodspb.MarketingPeriod.Verdict.Name
        return [
            {
                kinds(each.kind).removeprefix("KIND_"): verdicts(each.verdict).removeprefix("VERDICT_")
                for each in period.marketing_period.promises
            }
            for period in said
        ]

    def told(self) -> list[tuple[Topic | None, str, AlertState]]:
        return [(alert.topic, alert.commitment_id, alert.state) for alert in self.alerts()]

    def periods(self) -> list[tuple[str, str]]:
        table = schema.period_tables.period
        with self.database.reading() as connection:
            rows = connection.execute(select(table.c.period, table.c.agreement_version))
            return sorted((row.period, row.agreement_version.rsplit("/", 1)[1]) for row in rows)

    def act(self, use: Any, request: Any) -> Any:
        with self.database.writer_engine.begin() as connection:
            tx = SlaTx(connection, self.archive, now=self.now)
            (answer,) = use(tx, [request], now=self.now)
            tx.flush()
        return answer


def held(conforming: bool, filled: int) -> scoringpb.Conformance:
    return scoringpb.Conformance(conforming=conforming, required_field_count=4, filled_field_count=filled)


def test_a_period_in_which_nothing_is_handed_over_is_missed_as_well() -> None:
    campaign = Campaign.under(ONLY_QUOTA)
    campaign.reach(END)

    assert campaign.settled() == [{"VALUE": "BREACHED"}]
    assert campaign.occur_times("MarketingPeriodSettled") == [END]
    assert campaign.told()[-1] == (Topic.PERIOD_MISSED, "value", AlertState.OPEN)
    assert campaign.periods() == [("2026-09", "1"), ("2026-10", "1")]


def test_after_a_long_outage_every_month_is_settled_by_itself() -> None:
    campaign = Campaign.under(ONLY_QUOTA)
    campaign.now = datetime.fromisoformat("2026-12-01T00:00:00+09:00")
    campaign.reach(campaign.now)

    assert campaign.settled() == [{"VALUE": "BREACHED"}] * 3


async def test_a_period_is_not_called_missed_while_what_was_handed_over_in_it_is_not_read_yet() -> None:
    campaign = Campaign.under(ONLY_QUOTA)
    campaign.reach(END - MICROSECOND)
    campaign.now = END + timedelta(days=1)
    read = False
    async with Writer(campaign.database, now=lambda: campaign.now) as writer:
        promptly = Promptly(writer, campaign.archive, now=lambda: campaign.now, may_act=lambda: read)
        waited = await promptly.catch_up()
    told_meanwhile = campaign.settled()
    for number in range(10):
        handoff = f"{TENANT}/leads/late{number}/handoffs/h1"
        campaign.tell(handoff, leadeventspb.HandoffSubmitted(handoff=handoff), at=END - timedelta(days=2))
    read = True
    async with Writer(campaign.database, now=lambda: campaign.now) as writer:
        promptly = Promptly(writer, campaign.archive, now=lambda: campaign.now, may_act=lambda: read)
        await promptly.catch_up()

    assert (waited, told_meanwhile) == (0, [])
    assert campaign.settled() == [{"VALUE": "MET"}]


def test_each_promise_of_a_period_has_its_own_verdict() -> None:
    campaign = Campaign.under(SHARES)
    campaign.now = SEPTEMBER
    campaign.hand_over(4, conformance=held(True, 4))
    campaign.hand_over(conformance=held(False, 1))
    campaign.reach(END)

    # 4 of 5 conform; 17 of 20 fields are less than nine of ten; nothing was decided.
    assert campaign.settled() == [
        {"CONFORMANCE": "MET", "COMPLETENESS": "BREACHED", "REJECTIONS": "UNDEFINED"}
    ]
    (alert,) = campaign.alerts()
    assert (alert.topic, alert.commitment_id, alert.rung_id) == (
        Topic.PERIOD_MISSED,
        "completeness",
        "2026-09",
    )
    assert (alert.recipients, alert.clock, alert.handoff) == ((MARKETING_MANAGER,), "", "")
    assert (alert.due_time, alert.missed) == (END, True)


def test_a_late_fact_that_saves_a_promise_is_said_and_deals_with_the_alert() -> None:
    campaign = Campaign.under(MarketingTerms(most_rejected=2_000))
    campaign.now = END - timedelta(days=20)
    kept = [campaign.hand_over() for _ in range(3)]
    rejected = campaign.hand_over()
    for handoff in kept:
        campaign.assign(handoff)
    campaign.tell(
        rejected,
        leadeventspb.HandoffRejected(
            handoff=rejected, person=REP, team=SALES, accountable_party=termspb.PARTY_MARKETING
        ),
    )
    campaign.reach(END + timedelta(hours=1))
    missed = campaign.told()
    # One of four is more than a fifth, and is none at all once it turns out to be void.
    campaign.void(rejected)
    campaign.reach(END + timedelta(hours=2))

    assert missed == [(Topic.PERIOD_MISSED, "rejections", AlertState.OPEN)]
    assert campaign.settled() == [{"REJECTIONS": "BREACHED"}, {"REJECTIONS": "MET"}]
    (alert,) = campaign.alerts()
    assert (alert.state, alert.resolve_reason) == (AlertState.RESOLVED, ResolveReason.RETRACTED)


def test_a_promise_that_hangs_on_a_dispute_waits_and_nobody_is_told_meanwhile() -> None:
    campaign = Campaign.under(MarketingTerms(most_rejected=2_000))
    campaign.now = END - timedelta(hours=8)
    rejected = campaign.hand_over()
    campaign.tell(
        rejected,
        leadeventspb.HandoffRejected(
            handoff=rejected, person=REP, team=SALES, accountable_party=termspb.PARTY_MARKETING
        ),
    )
    campaign.tell(rejected, leadeventspb.RejectionDisputed(handoff=rejected))
    campaign.reach(END + timedelta(hours=1))
    waiting = campaign.told()
    campaign.tell(
        rejected,
        leadeventspb.DisputeResolved(handoff=rejected, state=disputespb.Dispute.STATE_OVERTURNED),
    )
    campaign.reach(END + timedelta(hours=2))

    assert waiting == []
    assert campaign.settled() == [{"REJECTIONS": "PENDING"}, {"REJECTIONS": "UNDEFINED"}]
    assert campaign.told() == []


def test_marketings_manager_is_told_once_when_value_falls_behind_and_it_is_over_when_it_catches_up() -> None:
    campaign = Campaign.under(ONLY_QUOTA)
    # A business day without anything.
    campaign.reach("2026-09-01T17:59:59+09:00")
    before = campaign.told()
    campaign.reach("2026-09-03T12:00:00+09:00")
    behind = campaign.told()
    # 200 of 1,000 after less than 3 of 22 days.
    campaign.hand_over(2)
    campaign.reach("2026-09-03T12:00:01+09:00")

    assert before == []
    assert behind == [(Topic.PACE_BEHIND, "value", AlertState.OPEN)]
    (first, second) = campaign.alerts()
    assert first.recipients == (MARKETING_MANAGER,)
    assert (first.state, first.resolve_reason) == (AlertState.RESOLVED, ResolveReason.RETRACTED)
    assert (second.topic, second.state) == (Topic.PACE_AHEAD, AlertState.OPEN)


def test_time_alone_takes_a_period_out_of_its_band_at_the_very_instant() -> None:
    campaign = Campaign.under(ONLY_QUOTA)
    campaign.reach("2026-09-15T12:00:00+09:00")
    # 400 is four fifths of what is wanted when half of 22 days is gone: on Tuesday at six.
    campaign.hand_over(4)
    campaign.reach("2026-09-15T12:00:01+09:00")
    campaign.hand_over()
    campaign.reach("2026-09-16T08:59:00+09:00")
    on_pace = campaign.told()[-1]
    campaign.reach(END - MICROSECOND)

    assert on_pace == (Topic.PACE_BEHIND, "value", AlertState.RESOLVED)
    last = campaign.alerts()[-1]
    # 500 is four fifths of 625: 13.75 of 22 days, so at a quarter to four on Friday the 18th.
    assert last.create_time == datetime.fromisoformat("2026-09-18T15:45:00.000001+09:00")
    assert last.topic is Topic.PACE_BEHIND


def test_the_pace_of_a_period_that_began_before_the_agreement_is_told_to_nobody() -> None:
    campaign = Campaign()
    campaign.agree(some_terms(marketing=ONLY_QUOTA))
    campaign.hand_over()
    campaign.reach(END - MICROSECOND)

    assert campaign.told() == []


@pytest.mark.parametrize("terms", [ONLY_QUOTA, SHARES])
def test_nobody_is_told_in_observe_mode(terms: MarketingTerms) -> None:
    campaign = Campaign.under(terms, mode=Mode.OBSERVE)
    campaign.now = SEPTEMBER
    campaign.hand_over(conformance=held(False, 0))
    campaign.reach(END)

    assert campaign.told() == []
    assert len(campaign.settled()) == 1


def test_a_version_that_is_in_force_before_a_period_begins_is_its_yardstick() -> None:
    campaign = Campaign.under(ONLY_QUOTA)
    smaller = MarketingTerms(
        lead_values=VALUED, quota=Quota(period=QuotaPeriod.QUARTER, value=worth(1)), least_conformance=1
    )
    campaign.agree(some_terms(marketing=smaller))

    # The month that had not begun is gone; the quarter that has begun counts when something is handed over.
    assert campaign.periods() == [("2026-Q4", "2")]


def test_a_version_in_the_middle_of_a_period_counts_from_the_next_one_on() -> None:
    campaign = Campaign.under(ONLY_QUOTA)
    campaign.reach("2026-09-10T12:00:00+09:00")
    campaign.agree(some_terms(marketing=MarketingTerms(lead_values=VALUED, quota=QUOTA, most_rejected=1)))
    campaign.reach(END)

    assert campaign.periods() == [("2026-09", "1"), ("2026-10", "2")]


def test_an_alert_of_a_period_is_dealt_with_by_hand_like_any_other() -> None:
    campaign = Campaign.under(ONLY_QUOTA)
    campaign.reach("2026-09-02T12:00:00+09:00")
    (alert,) = campaign.alerts()
    by: dict[str, Any] = {"name": alert.name, "actor": MARKETING_MANAGER, "only_for": None}
    seen = campaign.act(acknowledge, OnAlert(**by))
    campaign.act(snooze, Snooze(**by, until=campaign.now + timedelta(days=1)))
    done = campaign.act(resolve, OnAlert(**by))
    # Still behind, and told already.
    campaign.reach("2026-09-04T12:00:00+09:00")

    assert (seen.state, done.state) == (AlertState.ACKNOWLEDGED, AlertState.RESOLVED)
    assert [each.state for each in campaign.alerts()] == [AlertState.RESOLVED]
