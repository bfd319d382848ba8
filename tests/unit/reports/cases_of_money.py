"""Smallest logs of the figures of money."""

from datetime import date

from services.reports.domain.agreements import CalendarKnown, MarketingQuota, TenantSet
from services.reports.domain.figures import Undefined
from services.reports.domain.inputs import InputKind
from services.reports.domain.kpi_kinds import Basis
from services.reports.domain.labels import Dimension
from services.reports.domain.words import Closed, Rejected
from smarketing.businesstime import Calendar
from tests.builders.kpi_case import DAY, MARCH, Case, cost, deal, earned, goal, head, recorded, touchpoint
from tests.builders.reports import TENANT, at, submitted

_EUR = TenantSet(TENANT, "Etc/UTC", "EUR")
_CALENDAR = f"{TENANT}/calendars/office/versions/1"
_WEEKDAYS = CalendarKnown(
    _CALENDAR,
    Calendar.of("Etc/UTC", {day: [["00:00", "24:00"]] for day in ("mon", "tue", "wed", "thu", "fri")}),
)
_WORTH = (
    _EUR,
    submitted(1, value_currency="EUR", value_minor_units=500),
    submitted(2, value_currency="EUR", value_minor_units=500),
    Rejected(*head(2, hours=1), "", "bad_data", "marketing"),
)


def _quota(period: str, minor_units: int) -> MarketingQuota:
    version = f"{TENANT}/agreements/main/versions/1"
    return MarketingQuota(version, TENANT, "active", _CALENDAR, 0, period, "EUR", minor_units)


def _won(number: int, minor_units: int, **when: float) -> Closed:
    return Closed(*head(number, **when), True, "EUR", minor_units)


_LONG_AGO = at(days=-120)
_OF_LAST_YEAR = (
    _EUR,
    *(submitted(number, _LONG_AGO, segment="retail" if number == 1 else "trade") for number in (1, 2, 3, 4)),
    _won(1, 1000, days=-100),
)
_QUARTER = {"first": date(2026, 1, 1), "last": date(2026, 4, 1)}
_DAYS_BEFORE_MARCH, _DAYS_OF_QUARTER = 31 + 28, 31 + 28 + 31

CASES = {
    "F1": Case(
        wrongly="revenue is taken for profit",
        inputs=(cost(100), earned(300, 150)),
        period=MARCH,
        right=100 * (300 - 150 - 100) / 100,
        wrong=100 * (300 - 100) / 100,
    ),
    "F2": Case(
        wrongly="the mean of two returns is taken for the return on both",
        code="R",
        inputs=(
            cost(100, investment="leaflet"),
            earned(300, 0, investment="leaflet"),
            cost(1000, investment="fair"),
            earned(1100, 0, investment="fair"),
        ),
        period=MARCH,
        right=100 * (1400 - 1100) / 1100,
        wrong=(200 + 10) / 2,
    ),
    "F3": Case(
        wrongly="every campaign on the way is credited with all of it",
        code="D",
        inputs=(
            *(cost(100, campaign=campaign) for campaign in ("spring", "fair")),
            touchpoint("spring", date(2026, 3, 1)),
            touchpoint("fair", date(2026, 3, 2)),
            earned(1000, 0, journey="order-1", first=date(2026, 3, 9), last=date(2026, 3, 10)),
        ),
        period=MARCH,
        group_by=(Dimension.CAMPAIGN,),
        group=("linear", "spring"),
        right=100 * (500 - 100) / 100,
        wrong=100 * (1000 - 100) / 100,
    ),
    "F6": Case(
        wrongly="revenue, not margin, is held against the cost",
        inputs=(
            cost(300, last=date(2026, 3, 2)),
            *(earned(300, 150, first=date(2026, month, 5), last=date(2026, month, 6)) for month in (3, 4)),
        ),
        right=2.0,
        wrong=1.0,
    ),
    "F9": Case(
        wrongly="what nobody can be credited with is left out of the whole",
        code="D",
        inputs=(earned(700, campaign="spring"), earned(300)),
        period=MARCH,
        right=(700, 1000),
        wrong=(700, 700),
    ),
    "G20": Case(
        wrongly="what sales spends is charged to marketing's leads",
        leads=(_EUR, submitted(1), submitted(2)),
        inputs=(cost(1000, party="marketing"), cost(500, party="sales")),
        period=MARCH,
        basis=Basis.COHORT,
        group=("submitted",),
        right=("EUR", 1000 // 2),
        wrong=("EUR", 1500 // 2),
    ),
    "G24": Case(
        wrongly="profit is put in the place of revenue",
        inputs=(cost(100, campaign="spring"), earned(300, 100, campaign="spring")),
        period=MARCH,
        group=("linear",),
        right=(300, 100),
        wrong=(200, 100),
    ),
    "G25": Case(
        wrongly="what came without marketing is marketing's return",
        code="D",
        inputs=(cost(100, campaign="spring"), earned(300, 100, campaign="spring"), earned(500, 0)),
        period=MARCH,
        right=100 * (300 - 100 - 100) / 100,
        wrong=100 * (800 - 100 - 100) / 100,
    ),
    "V2": Case(
        wrongly="a line that does not say what was sold had cost is all profit",
        inputs=(earned(300, 100), earned(200)),
        period=MARCH,
        right=Undefined.NO_DATA,
        wrong=("EUR", 300 - 100 + 200),
    ),
    "V4": Case(
        wrongly="the quota of a quarter is held against one month",
        leads=(_EUR, submitted(1), _won(1, 500)),
        inputs=(goal(9000, **_QUARTER),),
        period=MARCH,
        right=(500, 9000 - 9000 * _DAYS_BEFORE_MARCH // _DAYS_OF_QUARTER),
        wrong=(500, 9000),
    ),
    "V5": Case(
        wrongly="marketing's costs are among those of sales",
        inputs=(earned(900), cost(300, party="sales"), cost(100, party="marketing")),
        period=MARCH,
        right=(900, 300),
        wrong=(900, 400),
    ),
    "V5.cost": Case(
        wrongly="it is read upside down",
        inputs=(earned(900), cost(300, party="sales")),
        period=MARCH,
        right=(300, 900),
        wrong=(900, 300),
    ),
    "V10": Case(
        wrongly="the mean of two discounts is taken for the discount on both",
        code="R",
        inputs=tuple(
            recorded(InputKind.SUM, series, minor_units, currency="EUR")
            for series, minor_units in (
                ("list_price", 1000),
                ("net_price", 900),
                ("list_price", 100),
                ("net_price", 50),
            )
        ),
        period=MARCH,
        right=(1100 - 950, 1100),
        wrong=(10 + 50, 2 * 100),
    ),
    "P7.inquiry": Case(
        wrongly="those who are not won yet are left out",
        code="C",
        leads=(
            _EUR,
            *(submitted(number) for number in (1, 2, 3)),
            _won(1, 500, days=10),
            _won(2, 500, days=20),
        ),
        right=20 * DAY,
        wrong=10 * DAY,
    ),
    "P5": Case(
        wrongly="what is won already is still to be covered",
        leads=(
            _EUR,
            submitted(1),
            submitted(2),
            _won(1, 600),
            deal(2, "opened", amount=800, close_day=date(2026, 3, 28).toordinal()),
        ),
        inputs=(goal(1000),),
        period=MARCH,
        now=at(days=10),
        right=(800, 1000 - 600),
        wrong=(800, 1000),
    ),
    "K1": Case(
        wrongly="leads too young to be won lower the rate",
        leads=(*_OF_LAST_YEAR, submitted(5, at(days=-10))),
        inputs=(goal(5000, second=10_000),),
        period=MARCH,
        right=5000 // 1000 * 4,
        wrong=5000 // 1000 * 5,
    ),
    "K2": Case(
        wrongly="one lead, won, makes every lead of its segment worth a sale",
        leads=_OF_LAST_YEAR,
        period=MARCH,
        group=("retail",),
        # (1 won + 20 × 1/4) / (1 lead + 20) of 1,000.
        right=("EUR", round(1000 * (1 + 20 / 4) / (1 + 20))),
        wrong=("EUR", 1000),
    ),
    "K4": Case(
        wrongly="every month of a quarter wants a third",
        leads=_WORTH,
        quotas=(_quota("quarter", 3000),),
        period=MARCH,
        right=(500, 3000 - 3000 * _DAYS_BEFORE_MARCH // _DAYS_OF_QUARTER),
        wrong=(500, 1000),
    ),
    "K5": Case(
        wrongly="days on which nobody works are counted",
        leads=_WORTH,
        sla=(_WEEKDAYS,),
        quotas=(_quota("month", 4400),),
        period=MARCH,
        now=at(days=7, hours=-9),
        # Monday to Friday of the first week, of the 22 weekdays of March.
        right=(500, 4400 * 5 // 22),
        wrong=(500, round(4400 * 8 / 31)),
    ),
    "K16": Case(
        wrongly="what was rejected on marketing's account was worth its value",
        leads=_WORTH,
        inputs=(cost(100, party="marketing"),),
        period=MARCH,
        right=(100, 500),
        wrong=(100, 1000),
    ),
    "U6": Case(
        wrongly="a renewal is taken for a new customer",
        leads=(_EUR, submitted(1), submitted(2, source_channel="renewal"), _won(1, 500), _won(2, 500)),
        inputs=(cost(600, party="marketing"), cost(300, "labour", party="sales")),
        period=MARCH,
        right=("EUR", 900),
        wrong=("EUR", 450),
    ),
    "A1": Case(
        wrongly="a goal of two months is held against the first",
        leads=(_EUR, submitted(1), _won(1, 500)),
        inputs=(goal(6100, "joint_revenue", last=date(2026, 5, 1)),),
        period=MARCH,
        right=(500, 3100),
        wrong=(500, 6100),
    ),
}
