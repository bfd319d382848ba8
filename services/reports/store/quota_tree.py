"""Quotas on the tree of the directory, beside what was booked."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from services.reports.domain.figures import Amount, Figure, Undefined
from services.reports.domain.goals import (
    Node,
    Quota,
    QuotaOrigin,
    nodes_of,
    quotas,
    sales_goals,
    stated_by_node,
)
from services.reports.domain.inputs import InputKind, Sums
from services.reports.domain.labels import Dimension
from services.reports.domain.money_kpis import against
from services.reports.domain.periods import Micros, Period
from services.reports.store.figures import Figures
from services.reports.store.marketing_quotas import of_period
from services.reports.store.queries import Question
from smarketing.server.directory import DirectoryTables

__all__ = ["QuotaLine", "QuotaTree"]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaLine:
    """One node's quota, and what was booked of it."""

    node: str
    parent: str
    is_person: bool
    origin: QuotaOrigin
    quota: Figure
    booked: Figure
    attainment: Figure
    below: Figure | None


class QuotaTree:
    """Reads inside the caller's transaction."""

    def __init__(self, figures: Figures, directory: DirectoryTables) -> None:
        self._queries = figures.queries
        self._readings = figures.inputs
        self._directory = directory

    def lines(self, connection: Connection, tenant: str, period: Period, now: Micros) -> list[QuotaLine]:
        """Return every node that has a quota in the period, from above to below."""
        entries = self._readings.inputs.overlapping(connection, tenant, [InputKind.GOAL], period)
        goals = sales_goals(entries)
        stated = stated_by_node(goals, period)
        nodes = _joined(nodes_of(goals), self._nodes(connection, tenant))
        question = Question(tenant=tenant, period=period, now=now)
        booked = self._booked(connection, question)
        found = [_line(quota, booked.get(quota.node.name, {})) for quota in quotas(nodes, stated)]
        return [*self._marketing(connection, question, period), *found]

    def _marketing(self, connection: Connection, question: Question, period: Period) -> list[QuotaLine]:
        quota = self._readings.quotas.in_force(connection, question.tenant)
        if quota is None:
            return []
        delivered = self._queries.amounts(connection, question, "promised").get((), {})
        of_agreement = Quota(
            node=Node("marketing", ""), origin=QuotaOrigin.AGREEMENT, value=of_period(quota, period)
        )
        return [_line(of_agreement, delivered)]

    def _booked(self, connection: Connection, question: Question) -> dict[str, Sums]:
        whole = self._queries.amounts(connection, question, "won")
        by_team = self._queries.amounts(connection, _by_team(question), "won")
        found: dict[str, Sums] = {"sales": whole.get((), {})}
        found |= {team: sums for (team,), sums in by_team.items() if team}
        return found | self._of_people(connection, question)

    def _of_people(self, connection: Connection, question: Question) -> dict[str, Sums]:
        """Return what each owner won, from the opportunities that closed in the period."""
        fact = self._queries.tables.opportunity_fact
        days = self._queries.days(connection, question.tenant)
        assert question.period is not None  # noqa: S101 -- lines() gives it
        rows = connection.execute(
            select(fact.c.owner, fact.c.currency, func.count(), func.sum(fact.c.minor_units))
            .where(
                fact.c.tenant == question.tenant,
                fact.c.state == "won",
                fact.c.close_time >= days.start_of(question.period.first),
                fact.c.close_time < days.start_of(question.period.last),
                fact.c.currency != "",
            )
            .group_by(fact.c.owner, fact.c.currency)
        )
        found: dict[str, dict[str, tuple[int, int]]] = {}
        for owner, currency, number, minor_units in rows:
            found.setdefault(owner, {})[currency] = (number, minor_units)
        return dict(found)

    def _nodes(self, connection: Connection, tenant: str) -> list[Node]:
        team, principal = self._directory.team, self._directory.principal
        own = tenant.removeprefix("tenants/")
        teams = [
            Node(name, party.lower())
            for name, party in connection.execute(
                select(team.c.team, team.c.party).where(team.c.tenant == own).order_by(team.c.team)
            )
        ]
        people = connection.execute(
            select(principal.c.principal, principal.c.teams)
            .where(principal.c.tenant == own, principal.c.active.is_(True), principal.c.teams != "")
            .order_by(principal.c.principal)
        )
        return [*teams, *(Node(name, _first_of(told)) for name, told in people if "/people/" in name)]


def _first_of(teams: str) -> str:
    return sorted(teams.split())[0]


def _joined(told: Iterable[Node], known: Iterable[Node]) -> list[Node]:
    """Return both, each once; what the goals say of a node's place goes before the directory."""
    found: dict[str, Node] = {}
    for node in (*told, *known):
        found.setdefault(node.name, node)
    return sorted(found.values(), key=_depth)


def _depth(node: Node) -> int:
    if not node.parent:
        return 0
    return 1 if "/teams/" in node.name else 2


def _by_team(question: Question) -> Question:
    return Question(
        tenant=question.tenant, period=question.period, group_by=(Dimension.TEAM,), now=question.now
    )


def _line(quota: Quota, reached: Sums) -> QuotaLine:
    value = quota.value
    return QuotaLine(
        node=quota.node.name,
        parent=quota.node.parent,
        is_person="/people/" in quota.node.name,
        origin=quota.origin,
        quota=_figure(value),
        booked=_booked_of(reached, value),
        attainment=against(reached, value),
        below=None if quota.below is None else _figure(quota.below),
    )


def _figure(value: Amount | Undefined) -> Figure:
    return Figure(amount=value) if isinstance(value, Amount) else Figure(undefined=value)


def _booked_of(reached: Mapping[str, tuple[int, int]], value: Amount | Undefined) -> Figure:
    return Figure.sum_of(reached, default_currency=value.currency if isinstance(value, Amount) else "")
