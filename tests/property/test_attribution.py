"""Whatever is cut into parts, the parts are the whole: credits, quotas, days of an input."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from services.reports.domain.attribution import HALF_LIFE_DAYS, Model, credited, split
from services.reports.domain.figures import Amount
from services.reports.domain.goals import Node, QuotaOrigin, quotas, stated_of
from services.reports.domain.inputs import InputEntry, InputKind, spread
from services.reports.domain.periods import Period

_DAY = 739_000
_amounts = st.integers(-(2**53), 2**53)
_ways = st.lists(st.integers(_DAY, _DAY + 4000), min_size=1, max_size=30).map(sorted)


def _entry(number: int, days: int, first: int = _DAY, kind: InputKind = InputKind.COST) -> InputEntry:
    return InputEntry(
        tenant="tenants/t",
        source_system="desk",
        external_id=f"{first}-{days}",
        kind=kind,
        word="revenue",
        first_day=first,
        last_day=first + days,
        number=number,
        currency="EUR",
    )


@given(_amounts, st.sampled_from(list(Model)), _ways)
def test_every_model_credits_all_of_it_and_no_more(whole: int, model: Model, way: list[int]) -> None:
    parts = credited(whole, model, way)

    assert sum(parts) == whole
    assert len(parts) == len(way)
    assert all(part * whole >= 0 for part in parts)


@given(st.integers(0, 2**53), _ways)
def test_models_credit_whom_their_names_say(whole: int, way: list[int]) -> None:
    first = credited(whole, Model.FIRST_TOUCH, way)
    last = credited(whole, Model.LAST_TOUCH, way)
    alike = credited(whole, Model.LINEAR, way)
    fading = credited(whole, Model.TIME_DECAY, way)

    assert (first[0], last[-1]) == (whole, whole)
    assert max(alike) - min(alike) <= 1
    # A later touchpoint never counts less; largest remainders may shift one unit.
    assert all(later >= earlier - 1 for earlier, later in pairwise(fading))


@given(st.integers(3, 20))
def test_by_position_both_ends_have_two_fifths_and_those_between_the_rest(number: int) -> None:
    whole = 100 * (number - 2)

    parts = credited(whole, Model.POSITION_BASED, list(range(_DAY, _DAY + number)))

    assert parts == (40 * (number - 2), *[20] * (number - 2), 40 * (number - 2))


def test_a_half_life_before_the_last_counts_half() -> None:
    assert credited(300, Model.TIME_DECAY, [_DAY, _DAY + HALF_LIFE_DAYS]) == (100, 200)


@given(st.integers(0, 2**53), st.lists(st.integers(0, 10**6), min_size=1, max_size=20).filter(any))
def test_no_part_is_a_whole_unit_off_its_share(whole: int, shares: list[int]) -> None:
    total = sum(shares)

    assert all(
        abs(part * total - whole * share) < total
        for part, share in zip(split(whole, shares), shares, strict=True)
    )


@given(_amounts, st.integers(1, 400), st.lists(st.integers(-50, 450), min_size=1, max_size=8))
def test_periods_without_a_gap_have_all_of_an_input(number: int, days: int, cuts: list[int]) -> None:
    entry = _entry(number, days)
    bounds = sorted({_DAY, _DAY + days, *(_DAY + cut for cut in cuts)})

    parts = [spread(number, entry, Period(first, last)) for first, last in pairwise(bounds)]

    assert sum(parts) == number


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(1, 30))
def test_a_month_that_is_stated_goes_before_its_quarter(month: int, quarter: int, days: int) -> None:
    goals = [_entry(month, days, kind=InputKind.GOAL), _entry(quarter, 90, kind=InputKind.GOAL)]

    rest = quarter - quarter * days // 90
    assert stated_of(goals, None) == Amount("EUR", month + rest)


@given(st.integers(0, 10**9), st.lists(st.integers(0, 10**6) | st.none(), min_size=1, max_size=8))
def test_what_is_shared_down_is_what_those_below_leave_of_it(whole: int, own: list[int | None]) -> None:
    people = [Node(f"p{number}", "t") for number in range(len(own))]
    stated: dict[str, Amount] = {"t": Amount("EUR", whole)}
    stated |= {f"p{at}": Amount("EUR", each) for at, each in enumerate(own) if each is not None}

    found = {
        each.node.name: each for each in quotas([Node("sales", ""), Node("t", "sales"), *people], stated)
    }

    shared = [each.value for each in found.values() if each.origin is QuotaOrigin.SHARED_DOWN]
    taken = sum(each for each in own if each is not None)
    assert found["sales"].value == Amount("EUR", whole)
    if None in own:
        assert sum(value.minor_units for value in shared if isinstance(value, Amount)) == max(
            whole - taken, 0
        )
    else:
        assert (found["t"].below is not None) == (taken != whole)
