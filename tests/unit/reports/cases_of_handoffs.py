"""Smallest logs of the figures of handoffs: the funnel, waiting times, attempts, disputes, returns."""

from services.reports.domain.field_notes import FeedbackMoved
from services.reports.domain.figures import Undefined
from services.reports.domain.kpi_kinds import Basis
from services.reports.domain.words import (
    Accepted,
    Closed,
    DisputeAnswered,
    Disputed,
    Disqualified,
    Joined,
    Offered,
    OfferEnded,
    OfferOutcome,
    Origin,
    Qualified,
    Recycled,
    Rejected,
    Replied,
    Returned,
    TakenOver,
)
from tests.builders.kpi_case import DAY, HOUR, MARCH, NORTH, NOW, Case, head, heard, touch
from tests.builders.reports import TENANT, at, submitted

_COHORT, _EVENT = Basis.COHORT, Basis.EVENT


def _accepted(number: int, **when: float) -> Accepted:
    return Accepted(*head(number, **when), "", "kim", NORTH)


def _rejected(number: int, reason: str = "bad_data", party: str = "marketing", **when: float) -> Rejected:
    return Rejected(*head(number, **when), "", reason, party)


def _offered(number: int, offer: str = "", **when: float) -> Offered:
    return Offered(*head(number, **when), offer or f"o{number}", "kim", NORTH)


def _begun(*numbers: int) -> tuple[object, ...]:
    return tuple(submitted(number) for number in numbers)


def _young(number: int) -> object:
    return submitted(number, NOW - 2 * HOUR)


CASES = {
    "S7": Case(
        wrongly="only those who were offered are asked how long it took",
        code="C",
        leads=(*_begun(1, 2, 3), _offered(1, hours=1)),
        right=Undefined.QUANTILE_NOT_REACHED,
        wrong=HOUR,
    ),
    "S8": Case(
        wrongly="a rejection is taken for an acceptance still to come",
        code="X",
        leads=(
            *_begun(1, 2, 3),
            *(_offered(number) for number in (1, 2, 3)),
            _rejected(1, hours=0.5),
            _accepted(2, hours=1),
            _accepted(3, hours=2),
        ),
        right=2 * HOUR,
        wrong=HOUR,
    ),
    "S9": Case(
        wrongly="a rejection is taken for no decision",
        leads=(
            *_begun(1, 2, 3),
            *(_offered(number) for number in (1, 2, 3)),
            _rejected(1, hours=1),
            _rejected(2, hours=1),
            _accepted(3, hours=2),
        ),
        right=HOUR,
        wrong=Undefined.QUANTILE_NOT_REACHED,
    ),
    "S11": Case(
        wrongly="the buyer's time is counted from the submission",
        leads=(submitted(1, inquire_time=at(hours=-1)), touch(1, hours=1)),
        right=2 * HOUR,
        wrong=HOUR,
    ),
    "S12": Case(
        wrongly="an attempt is taken for a contact",
        leads=(*_begun(1), touch(1, hours=1), touch(1, hours=3, contact=True)),
        right=3 * HOUR,
        wrong=HOUR,
    ),
    "S13": Case(
        wrongly="one too young to be late is taken for late",
        leads=(*_begun(1), touch(1, hours=1), _young(2)),
        right=(1, 1),
        wrong=(1, 2),
    ),
    "S14": Case(
        wrongly="one too young to be untouched dilutes the share",
        leads=(*_begun(1), touch(1, hours=30), _young(2)),
        right=(1, 1),
        wrong=(1, 2),
    ),
    "S15": Case(
        wrongly="one that is not thirty days old is counted",
        leads=(*_begun(1, 2), touch(2, hours=1), submitted(3, NOW - 10 * DAY)),
        right=(1, 2),
        wrong=(2, 3),
    ),
    "S17": Case(
        wrongly="attempts that led to contact are counted too",
        leads=(
            *_begun(1, 2),
            touch(1, hours=1),
            touch(1, hours=2),
            Disqualified(*head(1, days=1), "no_budget", "marketing"),
            *(touch(2, hours=hour, contact=hour == 4) for hour in (1, 2, 3, 4)),
            Disqualified(*head(2, days=1), "no_budget", "marketing"),
        ),
        right=(2, 1),
        wrong=(6, 2),
    ),
    "S18": Case(
        wrongly="what all attempts gave is shown for the first",
        leads=(
            *_begun(1, 2),
            touch(1, hours=1),
            touch(1, hours=2, contact=True),
            touch(2, hours=1, contact=True),
        ),
        group=("01",),
        right=(1, 2),
        wrong=(2, 3),
    ),
    "S20": Case(
        wrongly="only rejections are looked at",
        leads=(
            *_begun(1, 2),
            Rejected(*head(1), "", "bad_data", "marketing", with_evidence=True),
            Disqualified(*head(2), "no_budget", "marketing"),
        ),
        right=(1, 2),
        wrong=(1, 1),
    ),
    "S21": Case(
        wrongly="archived history waits too",
        leads=(*_begun(1), submitted(2, archived=True, historical=True), *_begun(3), _rejected(3)),
        right=1,
        wrong=2,
    ),
    "S22": Case(
        wrongly="the mean is taken",
        leads=(submitted(1, NOW - DAY), submitted(2, NOW - DAY), submitted(3, NOW - 31 * DAY)),
        right=DAY,
        wrong=11 * DAY,
    ),
    "S23": Case(
        wrongly="a handoff whose offers expired twice is counted once",
        leads=(
            *_begun(1),
            *(
                word
                for number in (1, 2)
                for word in (
                    _offered(1, f"o{number}", hours=number),
                    OfferEnded(*head(1, hours=number), f"o{number}", OfferOutcome.EXPIRED),
                )
            ),
            _offered(1, "o3", hours=3),
            Accepted(*head(1, hours=4), "o3", "kim", NORTH),
        ),
        right=(2, 3),
        wrong=(1, 1),
    ),
    "S24": Case(
        wrongly="only handoffs that were reassigned are in the denominator",
        code="R",
        leads=(
            *_begun(1, 2),
            _accepted(1),
            Accepted(*head(1, hours=1), "", "lee", NORTH, "kim"),
            TakenOver(*head(1, hours=2), "lee"),
        ),
        right=(2, 2),
        wrong=(2, 1),
    ),
    "S33": Case(
        wrongly="back-dated follow-ups, which count for nothing, are left out of the mix",
        leads=(*_begun(1), touch(1, hours=1), touch(1, hours=2, grade="back_dated")),
        group=("back_dated",),
        right=(1, 2),
        wrong=(0, 1),
    ),
    "K3": Case(
        wrongly="what sales gave back on marketing's account is counted",
        leads=(
            submitted(1, value_currency="EUR", value_minor_units=1000),
            submitted(2, value_currency="EUR", value_minor_units=1000),
            _rejected(2),
        ),
        right=("EUR", 1000),
        wrong=("EUR", 2000),
    ),
    "K6": Case(
        wrongly="one held against no definition is taken for one that missed it",
        leads=(submitted(1, conforming=True), submitted(2)),
        right=(1, 1),
        wrong=(1, 2),
    ),
    "K7": Case(
        wrongly="the mean of a half and a whole is taken",
        code="R",
        leads=(
            submitted(1, conforming=True, required_fields=2, valid_fields=1),
            submitted(2, conforming=True, required_fields=8, valid_fields=8),
        ),
        right=(9, 10),
        wrong=(3, 4),
    ),
    "K7.whole": Case(
        wrongly="fields are counted instead of handoffs",
        leads=(
            submitted(1, conforming=True, required_fields=2, valid_fields=1),
            submitted(2, conforming=True, required_fields=8, valid_fields=8),
        ),
        right=(1, 2),
        wrong=(9, 10),
    ),
    "K9": Case(
        wrongly="a correction is taken for a duplicate",
        leads=(
            *_begun(1),
            Joined(*head(1, hours=1), Origin("expo"), correction=False),
            Joined(*head(1, hours=2), Origin("webform"), correction=True),
        ),
        right=(1, 2),
        wrong=(2, 3),
    ),
    "K10": Case(
        wrongly="an inquiry after its submission is clipped to no delay at all",
        code="T",
        leads=(submitted(1, inquire_time=at(hours=-1)), submitted(2, inquire_time=at(hours=5))),
        right=HOUR,
        wrong=0,
    ),
    "K11": Case(
        wrongly="leads that sales brought itself are laid to marketing",
        leads=(*_begun(1), submitted(2, source_channel="cold_call"), _accepted(1), _rejected(2)),
        basis=_COHORT,
        right=(1, 1),
        wrong=(1, 2),
    ),
    "K12": Case(
        wrongly="the undecided dilute the share",
        code="X",
        leads=(*_begun(1, 2, 3), _accepted(1), _rejected(2)),
        basis=_COHORT,
        right=(1, 2),
        wrong=(1, 3),
    ),
    "K13": Case(
        wrongly="an overturned rejection is taken for one that never was",
        leads=(
            *_begun(1, 2),
            _rejected(1),
            Disputed(*head(1, days=1)),
            DisputeAnswered(*head(1, days=2), overturned=True),
            _rejected(2),
        ),
        right=(1, 2),
        wrong=(0, 1),
    ),
    "K13.overturned": Case(
        wrongly="a dispute that nobody answered is taken for upheld",
        code="O",
        leads=(
            *_begun(1, 2, 3),
            *(word for number in (1, 2, 3) for word in (_rejected(number), Disputed(*head(number, days=1)))),
            DisputeAnswered(*head(1, days=2), overturned=True),
            DisputeAnswered(*head(2, days=2), overturned=False),
        ),
        right=(1, 2),
        wrong=(1, 3),
    ),
    "K14": Case(
        wrongly="any return at any time counts, and so does one recycled yesterday",
        leads=(
            *_begun(1, 2, 3),
            *(Recycled(*head(number), "later", "marketing") for number in (1, 2)),
            Recycled(*head(3, days=99), "later", "marketing"),
            Returned(*head(1, days=10)),
            Returned(*head(2, days=95)),
        ),
        right=(1, 2),
        wrong=(2, 3),
    ),
    "H1": Case(
        wrongly="the undecided are taken for refused",
        code="O",
        leads=(*_begun(1, 2, 3), _accepted(1), _rejected(2)),
        basis=_COHORT,
        right=(1, 2),
        wrong=(1, 3),
    ),
    "H2": Case(
        wrongly="what was qualified in April is lost to those accepted in March",
        code="K",
        leads=(*_begun(1), _accepted(1), Qualified(*head(1, days=35))),
        basis=_COHORT,
        period=MARCH,
        right=(1, 1),
        wrong=(0, 1),
    ),
    "H3": Case(
        wrongly="those accepted are the denominator",
        leads=(*_begun(1, 2), _accepted(1), Qualified(*head(1, days=1))),
        basis=_COHORT,
        right=(1, 2),
        wrong=(1, 1),
    ),
    "H5": Case(
        wrongly="a win in April is lost to the March that submitted it",
        code="K",
        leads=(*_begun(1), Closed(*head(1, days=35), True, "EUR", 500)),
        basis=_COHORT,
        period=MARCH,
        right=(1, 1),
        wrong=(0, 1),
    ),
    "H6": Case(
        wrongly="a skipped stage was never entered",
        leads=(*_begun(1), Closed(*head(1, days=3), True, "EUR", 500)),
        basis=_COHORT,
        group=("accepted",),
        right=(1, 1),
        wrong=Undefined.NO_DENOMINATOR,
    ),
    "H9": Case(
        wrongly="a rejection that was overturned still counts",
        leads=(
            *_begun(1, 2),
            _rejected(1),
            _rejected(2, "no_budget"),
            Disputed(*head(2, days=1)),
            DisputeAnswered(*head(2, days=2), overturned=True),
        ),
        basis=_COHORT,
        group=("bad_data",),
        right=(1, 1),
        wrong=(1, 2),
    ),
    "H10": Case(
        wrongly="everything decided is the whole",
        leads=(*_begun(1, 2, 3), _rejected(1), _rejected(2, "capacity", "sales"), _accepted(3)),
        basis=_COHORT,
        group=("marketing",),
        right=(1, 2),
        wrong=(1, 3),
    ),
    "H11": Case(
        wrongly="the undecided dilute the share",
        leads=(*_begun(1, 2, 3), Recycled(*head(1), "later", "marketing"), _rejected(2)),
        basis=_COHORT,
        right=(1, 2),
        wrong=(1, 3),
    ),
    "H12": Case(
        wrongly="one that waits for routing is taken for lost",
        leads=(*_begun(1, 2), _accepted(2), TakenOver(*head(2, hours=1), "kim")),
        right=1,
        wrong=2,
    ),
    "H13": Case(
        wrongly="a skipped stage is empty",
        leads=(*_begun(1), Closed(*head(1, days=3), True, "EUR", 500)),
        basis=_COHORT,
        group=("accepted",),
        right=1,
        wrong=0,
    ),
    "H15": Case(
        wrongly="a second owner after the first follow-up is friction too",
        leads=(
            *_begun(1, 2),
            *(_accepted(number) for number in (1, 2)),
            touch(1, hours=1),
            Accepted(*head(1, hours=2), "", "lee", NORTH, "kim"),
            Accepted(*head(2, hours=1), "", "lee", NORTH, "kim"),
            touch(2, hours=2),
        ),
        right=(1, 2),
        wrong=(2, 2),
    ),
    "H16": Case(
        wrongly="the untouched are spread over the bands",
        leads=(*_begun(1, 2), touch(1, minutes=5, contact=True)),
        group=("1 within 5 min",),
        right=(1, 1),
        wrong=(1, 2),
    ),
    "H16.qualified": Case(
        wrongly="a contact is taken for a qualification",
        leads=(
            *_begun(1, 2),
            touch(1, minutes=5, contact=True),
            touch(2, minutes=5, contact=True),
            Qualified(*head(2, days=1)),
        ),
        group=("1 within 5 min",),
        right=(1, 2),
        wrong=(2, 2),
    ),
    "P6": Case(
        wrongly="an opportunity that is still open is taken for lost",
        leads=(
            *_begun(1, 2, 3),
            Closed(*head(1), True, "EUR", 500),
            Closed(*head(2), False),
        ),
        basis=_EVENT,
        right=(1, 2),
        wrong=(1, 3),
    ),
    "P8": Case(
        wrongly="a win whose amount nobody told is taken for worth nothing",
        leads=(*_begun(1, 2), Closed(*head(1), True, "EUR", 1000), Closed(*head(2), True)),
        right=("EUR", 1000),
        wrong=("EUR", 500),
    ),
    "V1": Case(
        wrongly="what was lost is booked",
        leads=(*_begun(1, 2), Closed(*head(1), True, "EUR", 500), Closed(*head(2), False, "EUR", 700)),
        right=("EUR", 500),
        wrong=("EUR", 1200),
    ),
    "V3": Case(
        wrongly="a renewal is taken for a new contract",
        leads=(
            *_begun(1),
            submitted(2, source_channel="renewal"),
            *(Closed(*head(number), True, "EUR", 500) for number in (1, 2)),
        ),
        right=1,
        wrong=2,
    ),
    "V7": Case(
        wrongly="what the lead wrote is taken for an activity of sales",
        leads=(*_begun(1), touch(1, hours=1), Replied(*head(1, hours=2), "email", True)),
        right=1,
        wrong=2,
    ),
    "A5": Case(
        wrongly="only feedback that was answered is asked how long it took",
        code="C",
        leads=(
            *(heard(f"f{number}", "price") for number in (1, 2, 3)),
            FeedbackMoved(TENANT, "", at(days=1), "f1", "acknowledged"),
        ),
        right=Undefined.QUANTILE_NOT_REACHED,
        wrong=DAY,
    ),
    "A6": Case(
        wrongly="a theme told twice is taken for one that wants an answer",
        leads=(
            *(heard(f"a{number}", "price") for number in (1, 2, 3)),
            *(heard(f"b{number}", "colour") for number in (1, 2)),
            FeedbackMoved(TENANT, "", at(days=1), "a1", "done"),
        ),
        right=(1, 1),
        wrong=(1, 2),
    ),
}
