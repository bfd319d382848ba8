"""What a generated month intends, by the rules of what a month has to show."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from services.demo.company import ON_LEAVE, REPS, Company, read_company
from services.demo.month import Answer, Echo, Outcome, Story, month
from services.leads.domain.directory_faults import faults_of
from services.leads.domain.lead import check_submission
from services.leads.domain.reasons import ReasonUse, find_reason
from services.leads.usecases.identity import identify
from services.sla.domain.terms import Mode
from services.sla.domain.terms import faults_of as faults_of_terms
from smarketing.businesstime import BusinessTime, Openings

END = datetime(2026, 11, 20, 15, tzinfo=UTC)
START = END - timedelta(days=30)


@pytest.fixture(scope="module")
def company() -> Company:
    return read_company(start=START, end=END)


@pytest.fixture(scope="module")
def stories(company: Company) -> list[Story]:
    return month(seed=20, start=START, end=END, calendar=company.calendar)


def test_the_same_seed_and_period_give_the_same_month(company: Company, stories: list[Story]) -> None:
    assert month(seed=20, start=START, end=END, calendar=company.calendar) == stories
    assert month(seed=21, start=START, end=END, calendar=company.calendar) != stories


def test_a_month_has_seven_hundred_to_a_thousand_leads_each_handed_over_after_it_inquired(
    stories: list[Story],
) -> None:
    assert 650 <= len(stories) <= 1_000
    for story in stories:
        inquired = story.submission.qualification.inquire_time
        assert inquired is not None
        assert START <= inquired <= story.submit_time < END


def test_leads_come_by_night_and_at_weekends_but_mostly_in_office_hours(
    company: Company, stories: list[Story]
) -> None:
    zone = ZoneInfo(company.calendar.zone)
    local = [story.submit_time.astimezone(zone) for story in stories]
    weekend = sum(at.weekday() >= 5 for at in local)
    night = sum(at.hour < 7 or at.hour >= 21 for at in local)

    assert 0.03 < weekend / len(local) < 0.2
    assert 0.03 < night / len(local) < 0.25


def test_every_submission_is_one_that_leads_takes(stories: list[Story]) -> None:
    faults = [
        fault
        for story in stories
        for fault in check_submission(identify(story.submission, "DE"), now=story.submit_time)
    ]

    assert faults == []
    assert len({story.submission.contact.email for story in stories}) == len(stories)


def test_sources_are_many_and_some_leads_come_without_one(stories: list[Story]) -> None:
    sources = Counter(story.submission.qualification.source for story in stories)

    assert len(sources) >= 8
    assert 0 < sources[None] < len(stories) / 10
    assert sources["unknown"] > 0


def test_nobody_asks_for_a_call_while_the_office_is_closed(company: Company, stories: list[Story]) -> None:
    openings = Openings(company.calendar)
    urgent = [story for story in stories if story.is_urgent]

    assert urgent
    assert all(openings.is_open(story.submission.qualification.inquire_time or START) for story in urgent)


def test_reps_do_everything_that_may_be_done_with_an_offer(stories: list[Story]) -> None:
    answers = Counter(answer.answer for story in stories for answer in story.answers)
    echoes = Counter(story.echo for story in stories)
    endings = Counter(story.ending.outcome for story in stories)

    assert set(answers) == set(Answer)
    assert answers[Answer.ACCEPT] > sum(answers.values()) / 2
    assert set(echoes) == {None, *Echo}
    assert set(endings) == set(Outcome)


def test_every_reason_is_one_of_the_codes_and_proved_where_it_must_be(stories: list[Story]) -> None:
    uses = {Outcome.DISQUALIFY: ReasonUse.DISQUALIFY, Outcome.RECYCLE: ReasonUse.RECYCLE}
    parties = set()
    for story in stories:
        for answer in (*story.answers, story.from_queue):
            if answer.answer is Answer.REJECT:
                reason = find_reason(ReasonUse.REJECT, answer.reason_code, evidence=answer.evidence)
                parties.add(reason.accountable_party.name)
            if answer.answer is Answer.DECLINE:
                find_reason(ReasonUse.DECLINE, answer.reason_code)
        if story.ending.outcome in uses:
            find_reason(uses[story.ending.outcome], story.ending.reason_code)
        if story.ending.deal is not None and story.ending.deal.won is False:
            find_reason(ReasonUse.LOSE, story.ending.deal.reason_code)

    assert {"MARKETING", "SALES"} <= parties


def test_some_evidence_is_told_late_and_some_later_than_the_agreement_takes(
    company: Company, stories: list[Story]
) -> None:
    limit = company.terms.back_date_limit
    delays = [story.touches[0].told_after for story in stories if story.touches]

    assert any(BusinessTime() < delay < limit for delay in delays)
    assert any(delay > limit for delay in delays)
    assert any(not story.touches for story in stories)


def test_the_company_is_without_fault_and_its_agreement_enforces(company: Company) -> None:
    assert list(faults_of(company.directory, old=None)) == []
    assert faults_of_terms(company.terms, calendar_exists=True) == []
    assert company.terms.mode is Mode.ENFORCE
    assert {party.value for promise in company.terms.promises for party in promise.parties} >= {
        "MARKETING",
        "SALES",
    }


@pytest.mark.parametrize("day", range(0, 60, 7))
def test_holiday_and_leave_lie_within_the_month_and_on_working_days(day: int) -> None:
    end = END + timedelta(days=day)
    company = read_company(start=end - timedelta(days=30), end=end)
    (holiday,) = company.calendar.holidays
    away, back = company.leave

    assert (end - timedelta(days=30)).date() < holiday < end.date()
    assert holiday.weekday() < 5
    assert end - timedelta(days=30) < away < back < end
    assert ON_LEAVE in REPS
