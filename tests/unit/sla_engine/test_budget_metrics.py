"""Budgets as gauges: they show what budgets are judged by, and nothing that is not known."""

import pytest
from prometheus_client.metrics_core import Metric

from services.sla.web.budget_metrics import budget_reading
from services.sla.web.room import shown_each
from tests.builders.sla_engine import TENANT, Engine, a_promise, some_terms

PROMISE = {"tenant": "default", "agreement": "main"}


class Books(Engine):
    """An engine whose gauges are read."""

    def read(self, tenants: tuple[str, ...] = ("default",)) -> dict[str, Metric]:
        with self.database.reading() as connection:
            families = list(budget_reading(self.archive, tenants, now=lambda: self.now)(connection))
        return {family.name.removeprefix("smarketing_sla_"): family for family in families}

    def handed_over(self, count: int) -> list[str]:
        handoffs = [f"{TENANT}/leads/l{number}/handoffs/h1" for number in range(count)]
        for handoff in handoffs:
            self.submit(handoff)
            self.assign(handoff)
        return handoffs


def windows(family: Metric) -> dict[tuple[str, str], float]:
    for sample in family.samples:
        assert PROMISE.items() <= sample.labels.items()
    return {(each.labels["window"], each.labels["result"]): each.value for each in family.samples}


def books() -> Books:
    found = Books()
    found.agree(some_terms(a_promise(target=4)))
    return found


def test_before_anything_was_settled_counts_are_zero_and_the_rest_is_absent() -> None:
    shown = books().read()

    assert set(windows(shown["settled_in_window"]).values()) == {0}
    assert shown["budget_remaining_ratio"].samples == []
    assert {each.value for each in shown["budget_alerts"].samples} == {0}


def test_misses_are_shown_in_every_window_that_holds_them() -> None:
    kept = books()
    first, *_ = kept.handed_over(5)
    kept.follow_up(first)
    kept.advance(hours=4, minutes=2)
    kept.sweep()
    shown = kept.read()

    counted = windows(shown["settled_in_window"])
    # Four of five were never followed up; they fell due two minutes ago, which every window holds.
    for window in ("budget", "fast_long", "fast_short", "slow_long", "slow_short"):
        assert (counted[window, "good"], counted[window, "bad"]) == (1, 4), window
    # By chance, four or more of five at 90 % come less than once in a thousand times.
    alerts = {each.labels["alert"]: each.value for each in shown["budget_alerts"].samples}
    # In the 160 hours there may be many more clocks yet: the budget of all of them is not used up.
    assert alerts == {"fast": 1, "slow": 1, "exhausted": 0}
    (remaining,) = shown["budget_remaining_ratio"].samples
    # 242 minutes of 9,600 are over, so a tenth of 5 x 9,600 / 242 clocks may be missed.
    assert remaining.value == pytest.approx(1 - 4 / (0.1 * 5 * 9_600 / 242))


def test_a_tenant_with_more_promises_than_there_is_room_for_has_series_of_so_many() -> None:
    kept = Books()
    kept.agree(some_terms(*(a_promise(target=4, id=f"promise-{number}") for number in range(12))))

    shown = {each.labels["commitment"] for each in kept.read()["budget_alerts"].samples}

    assert len(shown) == shown_each(1)


def test_tenants_that_are_not_configured_are_not_read() -> None:
    assert books().read(("globex",))["settled_in_window"].samples == []


def test_whatever_tenants_name_clocks_stay_below_half_of_the_room() -> None:
    for tenants in (1, 2, 3):
        names = shown_each(tenants) + 1
        settled = open_clocks = tenants * names * names * 4
        rungs, exceptions, plain = tenants * names * names, tenants * names * 5, 2 * tenants * names
        budgets = 14 * tenants * (names - 1)
        assert settled + open_clocks + rungs + exceptions + plain + budgets < 1_000, tenants
