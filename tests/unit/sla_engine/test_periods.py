"""Marketing's periods as the leads log tells of them, and how they are settled."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from services.sla.domain.marketing_terms import Amount, LeadValue, MarketingTerms, Quota, QuotaPeriod
from services.sla.domain.period import PeriodCounts, Statement, Verdict
from services.sla.store.periods import Key, find_period
from services.sla.store.tx import SlaTx
from services.sla.usecases.periods import stated
from services.sla.usecases.promptly import do_what_is_due, next_instant
from smarketing.api.leads.v1 import disputes_pb2 as disputespb
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.leads.v1 import scoring_pb2 as scoringpb
from smarketing.api.sla.v1 import periods_pb2 as periodspb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from tests.builders.sla_engine import REP, SALES, TENANT, Engine, some_terms

SEPTEMBER = Key("default", "main", "2026-09")
END = datetime.fromisoformat("2026-10-01T00:00:00+09:00")
MICROSECOND = timedelta(microseconds=1)


def worth(minor_units: int) -> Amount:
    return Amount(currency="EUR", minor_units=minor_units)


TERMS = MarketingTerms(
    lead_values=(LeadValue(segment="", value=worth(100)), LeadValue(segment="big", value=worth(500))),
    quota=Quota(period=QuotaPeriod.MONTH, value=worth(1_000)),
)


class Campaign(Engine):
    """An engine to which handoffs are handed over."""

    handoffs: int = 0

    def hand_over(self, segment: str = "", **changed: Any) -> str:
        self.handoffs += 1
        handoff = f"{TENANT}/leads/l{self.handoffs}/handoffs/h1"
        self.submit(handoff, qualification={"segment": segment}, **changed)
        return handoff

    def reject(self, handoff: str, party: termspb.Party.ValueType = termspb.PARTY_MARKETING) -> None:
        payload = leadeventspb.HandoffRejected(
            handoff=handoff, person=REP, team=SALES, reason_code="NO_FIT", accountable_party=party
        )
        self.tell(handoff, payload)

    def dispute(self, handoff: str) -> None:
        self.tell(handoff, leadeventspb.RejectionDisputed(handoff=handoff))

    def answer(self, handoff: str, state: disputespb.Dispute.State.ValueType) -> None:
        self.tell(handoff, leadeventspb.DisputeResolved(handoff=handoff, state=state))

    def september(self) -> Statement:
        with self.database.reading() as connection:
            row = find_period(connection, SEPTEMBER)
            assert row is not None
            return stated(SlaTx(connection, self.archive, now=self.now), row)

    def value(self) -> tuple[int, int]:
        counts = self.september().counts
        return counts.delivered, counts.pending

    def catch_up(self) -> None:
        """Do everything that is due by now, each thing once it is."""
        with self.database.writer_engine.begin() as connection:
            while (following := next_instant(connection)) is not None and following < self.now:
                do_what_is_due(connection, self.archive, now=self.now)

    def settled(self) -> list[str]:
        kind = periodspb.MarketingPeriodSettled.DESCRIPTOR.full_name
        said = [periodspb.MarketingPeriodSettled.FromString(payload) for payload in self.payloads_of(kind)]
        names = periodspb.MarketingPeriod.Verdict.Name
        return [names(each.marketing_period.verdict).removeprefix("VERDICT_") for each in said]


@pytest.fixture
def campaign() -> Campaign:
    campaign = Campaign()
    campaign.agree(some_terms(marketing=TERMS))
    return campaign


def test_each_handoff_counts_what_its_segment_is_worth_in_the_period_it_was_submitted(
    campaign: Campaign,
) -> None:
    campaign.hand_over()
    campaign.hand_over("big")
    campaign.now = END
    campaign.hand_over("big")

    assert campaign.value() == (600, 0)
    assert campaign.september().counts.submitted == 2


def test_imported_history_and_void_handoffs_count_for_nothing(campaign: Campaign) -> None:
    campaign.hand_over()
    campaign.hand_over(historical=True)
    campaign.void(campaign.hand_over())

    assert campaign.september().counts == PeriodCounts(submitted=1, delivered=100)


def test_a_rejection_nobody_disputes_is_final_after_five_business_days(campaign: Campaign) -> None:
    campaign.reject(campaign.hand_over())
    pending = campaign.value()
    # Rejected on Monday at nine, as the day began: five whole days are over on Friday at six.
    friday_six = campaign.now + timedelta(days=4, hours=9)
    campaign.now = friday_six
    campaign.catch_up()
    at_the_edge = campaign.value()
    campaign.now += MICROSECOND
    campaign.catch_up()

    assert (pending, at_the_edge, campaign.value()) == ((100, 100), (100, 100), (0, 0))
    assert campaign.september().rejected_share == 1


def test_a_disputed_rejection_waits_for_its_answer_however_long_that_takes(campaign: Campaign) -> None:
    upheld, overturned = campaign.hand_over(), campaign.hand_over()
    for handoff in (upheld, overturned):
        campaign.reject(handoff)
        campaign.dispute(handoff)
    campaign.advance(days=30)
    campaign.catch_up()
    waiting = campaign.value()
    campaign.answer(upheld, disputespb.Dispute.STATE_UPHELD)
    campaign.answer(overturned, disputespb.Dispute.STATE_OVERTURNED)

    assert waiting == (200, 200)
    assert campaign.value() == (100, 0)
    # The overturned one is offered anew, and not decided.
    assert campaign.september().counts.decided == 1


def test_what_sales_reject_on_their_own_account_takes_nothing_away(campaign: Campaign) -> None:
    campaign.reject(campaign.hand_over(), termspb.PARTY_SALES)
    campaign.advance(days=10)
    campaign.catch_up()

    assert campaign.value() == (100, 0)
    assert campaign.september().rejected_share == 0


def test_conformance_and_completeness_are_what_leads_found_itself(campaign: Campaign) -> None:
    for conforming, filled in ((True, 4), (False, 1)):
        verdict = scoringpb.Conformance(
            conforming=conforming, required_field_count=4, filled_field_count=filled
        )
        campaign.hand_over(conformance=verdict)
    campaign.hand_over()
    statement = campaign.september()

    assert (float(statement.conformance or 0), float(statement.completeness or 0)) == (1 / 2, 5 / 8)


def test_a_period_is_settled_once_at_its_end(campaign: Campaign) -> None:
    first, _ = campaign.hand_over("big"), campaign.hand_over("big")
    campaign.now = END - MICROSECOND
    campaign.catch_up()
    before = campaign.settled()
    campaign.now = END + MICROSECOND
    campaign.catch_up()
    campaign.restart()
    # A late fact that changes nothing about the quota is counted, and not told as another settlement.
    campaign.assign(first)
    campaign.now += MICROSECOND
    campaign.catch_up()

    assert campaign.september().counts.decided == 1
    assert (before, campaign.settled()) == ([], ["MET"])
    assert campaign.occur_times("MarketingPeriodSettled") == [END]


def test_a_quota_that_hangs_on_a_dispute_waits_for_it_and_then_is_settled(campaign: Campaign) -> None:
    campaign.hand_over("big")
    doubtful = campaign.hand_over("big")
    campaign.reject(doubtful)
    campaign.dispute(doubtful)
    campaign.now = END + MICROSECOND
    campaign.catch_up()
    campaign.advance(hours=1)
    campaign.answer(doubtful, disputespb.Dispute.STATE_UPHELD)
    campaign.advance(seconds=1)
    campaign.catch_up()

    assert campaign.settled() == ["PENDING", "BREACHED"]
    assert campaign.september().verdict is Verdict.BREACHED


def test_without_marketing_terms_nothing_is_counted() -> None:
    campaign = Campaign()
    campaign.agree()
    campaign.reject(campaign.hand_over())
    with campaign.database.reading() as connection:
        assert find_period(connection, SEPTEMBER) is None


def test_a_new_version_does_not_move_the_yardstick_of_a_period_that_has_begun(campaign: Campaign) -> None:
    campaign.hand_over("big")
    cheaper = MarketingTerms(
        lead_values=(LeadValue(segment="", value=worth(1)),),
        quota=Quota(period=QuotaPeriod.MONTH, value=worth(2)),
    )
    campaign.agree(some_terms(marketing=cheaper))
    campaign.hand_over("big")
    in_september = campaign.value()
    campaign.now = END
    campaign.hand_over("big")
    with campaign.database.reading() as connection:
        october = find_period(connection, Key("default", "main", "2026-10"))

    assert in_september == (1_000, 0)
    assert october is not None
    assert october.counts.delivered == 1


def test_a_merge_that_is_taken_back_leaves_a_period_as_it_was(campaign: Campaign) -> None:
    other, kept = campaign.hand_over("big"), campaign.hand_over()
    campaign.assign(other)
    before = campaign.september().counts
    campaign.void(other)
    merged = campaign.september().counts
    restored = leadeventspb.LeadsUnmerged.RestoredHandoff(handoff=other)
    campaign.tell(
        f"{TENANT}/leads/l2", leadeventspb.LeadsUnmerged(handoff=kept, restored_handoffs=[restored])
    )

    assert (before.delivered, merged.delivered) == (600, 100)
    assert campaign.september().counts == before
