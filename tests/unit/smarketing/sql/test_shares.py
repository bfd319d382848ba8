"""Rules of who takes which share."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from smarketing.eventlog.partitions import Partition, partitions
from smarketing.sql.shares import shares_of

_HOLDERS = st.lists(st.uuids().map(str), min_size=1, max_size=9, unique=True)


@given(_HOLDERS, st.integers(min_value=1, max_value=64))
def test_every_share_is_of_one_holder_and_none_has_two_more_than_another(
    holders: list[str], count: int
) -> None:
    taken = [shares_of(holder, holders, count) for holder in holders]
    assert sorted(number for each in taken for number in each) == list(range(count))
    assert max(map(len, taken)) - min(map(len, taken)) <= 1


@given(_HOLDERS, st.randoms())
def test_it_does_not_matter_in_which_order_holders_are_seen(holders: list[str], chance: Random) -> None:
    mixed = list(holders)
    chance.shuffle(mixed)
    for holder in holders:
        assert shares_of(holder, holders, 8) == shares_of(holder, mixed, 8)


def test_who_is_not_there_has_none() -> None:
    assert shares_of("gone", ["here"], 3) == frozenset()


@given(st.text(min_size=1), st.integers(min_value=1, max_value=64))
def test_a_tenant_is_in_one_partition(tenant: str, count: int) -> None:
    assert sum(part.has(f"tenants/{tenant}") for part in partitions(count)) == 1


def test_partitions_of_a_thousand_tenants_are_about_alike() -> None:
    sizes = [sum(part.has(f"tenants/{number}") for number in range(1000)) for part in partitions(4)]
    # Six standard deviations of a fair division.
    assert all(abs(size - 250) < 6 * (1000 * 0.25 * 0.75) ** 0.5 for size in sizes)


def test_an_undivided_log_is_followed_under_the_name_of_the_group() -> None:
    assert Partition().member_of("sla.leads") == "sla.leads"
    assert Partition(2, 4).member_of("sla.leads") == "sla.leads.2of4"
