"""Smallest logs of the figures of leads, each counted once, and of the stages they stand in."""

import math
from typing import Any

from services.reports.domain.agreements import AgreementKnown, TenantSet
from services.reports.domain.figures import Undefined
from services.reports.domain.kpi_kinds import Basis
from services.reports.domain.words import (
    Accepted,
    Closed,
    Converted,
    FollowedUp,
    Follows,
    Qualified,
    Recycled,
)
from tests.builders.kpi_case import HOUR, MARCH, NORTH, Case, deal, head, touch
from tests.builders.reports import TENANT, at, handoff, submitted

_EUR = TenantSet(TENANT, "Etc/UTC", "EUR")
_COHORT = Basis.COHORT
_AGREED = AgreementKnown(TENANT, f"{TENANT}/agreements/a/versions/1", "active", "", at(), ())


def _won(number: int, **when: Any) -> Closed:
    return Closed(*head(number, **when), True, "EUR", 1000)


def _lost(number: int, **when: Any) -> Closed:
    return Closed(*head(number, **when), False)


def _again(number: int, before: int, *, continued: bool) -> Follows:
    return Follows(*head(number), handoff(before), continued)


def _accepted(number: int, **when: Any) -> Accepted:
    return Accepted(*head(number, **when), "", "kim", NORTH)


def _recycled(number: int, **when: Any) -> Recycled:
    return Recycled(*head(number, **when), "not_now", "buyer")


def _met(number: int, channel: str, *, contact: bool, **when: Any) -> FollowedUp:
    return FollowedUp(*head(number, **when), contact, True, channel, "confirmed")


def _scored(number: int, band: str, score: int, **when: Any) -> Any:
    return submitted(number, at(**when), band=band, score=score)


def _in_segment(number: int, segment: str, **when: Any) -> Any:
    return submitted(number, at(**when), segment=segment)


_CAME_BACK = (
    *(submitted(1), _recycled(1, days=5)),
    *(submitted(2, at(days=40)), _again(2, 1, continued=False), Converted(*head(2, days=41), "kim")),
)
"""One lead: what it was worth shows when it comes back in April."""

_BOUGHT_TWICE = (
    *(submitted(1), _won(1)),
    *(submitted(2, at(days=2)), _again(2, 1, continued=True), _won(2, days=3)),
)
"""One customer."""


CASES = {
    "H4": Case(
        wrongly="a lead that came back is two leads, of which one became nothing",
        code="K",
        leads=_CAME_BACK,
        basis=_COHORT,
        right=(1, 1),
        wrong=(1, 2),
    ),
    "H7": Case(
        wrongly="the mean over those who moved on: those who stay are left out",
        code="C",
        leads=(*(submitted(number) for number in (1, 2, 3)), _accepted(1, hours=2), _accepted(2, hours=4)),
        group=("submitted",),
        right=4 * HOUR,
        wrong=3 * HOUR,
    ),
    "H8": Case(
        wrongly="whoever left is taken to be there still",
        leads=(
            submitted(1),
            submitted(2),
            _accepted(1, hours=1),
            _accepted(2, hours=1),
            _recycled(2, hours=2),
        ),
        group=("accepted",),
        right=1,
        wrong=2,
    ),
    "H8.in": Case(
        wrongly="a skipped stage is one that nobody came to",
        leads=(submitted(1), Qualified(*head(1, hours=1))),
        period=MARCH,
        group=("worked",),
        right=1,
        wrong=0,
    ),
    "H8.out": Case(
        wrongly="only those who went on are taken to have left",
        leads=(submitted(1), submitted(2), _accepted(1, days=1), _accepted(2, days=1), _recycled(2, days=2)),
        period=MARCH,
        group=("accepted",),
        right=1,
        wrong=0,
    ),
    "H14": Case(
        wrongly="what marketing gave it still counts beside the opportunity's amount",
        leads=(
            _EUR,
            submitted(1, value_currency="EUR", value_minor_units=300),
            Converted(*head(1), "kim"),
            deal(1, "opened", amount=1000),
        ),
        group=("converted",),
        right=("EUR", 1000),
        wrong=("EUR", 1300),
    ),
    "H17": Case(
        wrongly="who was answered fast by choice is taken for assigned by chance: H16's difference",
        code="W",
        leads=(submitted(1), touch(1, contact=True, minutes=1), submitted(2)),
        right=Undefined.NO_DATA,
        wrong=(1, 1),
    ),
    "K8": Case(
        wrongly="nobody tried the other one, so it is taken for reachable",
        leads=(
            submitted(1),
            submitted(2),
            submitted(3),
            FollowedUp(*head(1), False, True, "call", "confirmed", unreachable=True),
            # Told too late to count as a follow-up: it says no more of the number than of the work.
            FollowedUp(*head(3), False, False, "call", "back_dated", unreachable=True),
        ),
        right=(0, 1),
        wrong=(1, 2),
    ),
    "K15": Case(
        wrongly="a segment that is gone is left out, because its logarithm is not finite",
        code="Z",
        leads=(
            *(_in_segment(number, segment, days=-10) for number, segment in ((1, "smb"), (2, "large"))),
            _in_segment(3, "smb", days=10),
        ),
        sla=(_AGREED,),
        right=(1 - 0.5) * math.log(1 / 0.5) + (0.001 - 0.5) * math.log(0.001 / 0.5),
        wrong=(1 - 0.5) * math.log(1 / 0.5),
        period=MARCH,
    ),
    "K15.score": Case(
        wrongly="one that nobody scored is taken for a band of its own",
        code="Z",
        leads=(
            *(_scored(1, "hot", 90, days=-10), _scored(2, "cold", 10, days=-10)),
            *(_scored(3, "hot", 90, days=10), submitted(4, at(days=10))),
        ),
        sla=(_AGREED,),
        period=MARCH,
        right=(1 - 0.5) * math.log(1 / 0.5) + (0.001 - 0.5) * math.log(0.001 / 0.5),
        wrong=2 * (0.001 - 0.5) * math.log(0.001 / 0.5),
    ),
    "L1": Case(
        wrongly="one that is still open is taken for not won",
        code="O",
        leads=(
            *(_scored(number, "hot", 90) for number in (1, 2, 3)),
            *(_won(1, days=1), _lost(2, days=1)),
        ),
        group=("hot",),
        right=(1, 2),
        wrong=(1, 3),
    ),
    "L1.inversions": Case(
        wrongly="bands are taken in the order of their names",
        leads=(
            *(_scored(1, "a hot", 90), _won(1)),
            *(_scored(2, "b cold", 10), _lost(2)),
        ),
        right=0,
        wrong=1,
    ),
    "G19": Case(
        wrongly="a lead that came back is another lead",
        leads=_CAME_BACK,
        right=1,
        wrong=2,
    ),
    "U10": Case(
        wrongly="a customer of yesterday is taken for one who never bought again",
        leads=(*_BOUGHT_TWICE, submitted(3), _won(3, days=399)),
        now=at(days=400),
        right=(1, 1),
        wrong=(1, 2),
    ),
    "V6": Case(
        wrongly="a second contract is another customer",
        leads=_BOUGHT_TWICE,
        right=1,
        wrong=2,
    ),
    "V8": Case(
        wrongly="a call that reached nobody is taken for a missed meeting",
        leads=(
            submitted(1),
            _met(1, "meeting_online", contact=True, hours=1),
            _met(1, "demo", contact=False, hours=2),
            _met(1, "call", contact=False, hours=3),
        ),
        right=(1, 2),
        wrong=(1, 3),
    ),
    "V12": Case(
        wrongly="what sales went and got is counted as come by itself",
        leads=(
            *(submitted(1), submitted(2), _won(1)),
            *(submitted(3, source_channel="cold_call"), _won(3)),
        ),
        basis=_COHORT,
        right=(1, 2),
        wrong=(2, 3),
    ),
    "V12.outbound": Case(
        wrongly="one of an unknown channel is taken for outbound",
        leads=(
            *(submitted(1, source_channel="cold_call"), _won(1)),
            submitted(2, source_channel=None),
        ),
        basis=_COHORT,
        right=(1, 1),
        wrong=(1, 2),
    ),
}
