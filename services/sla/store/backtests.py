"""What a back-test reads: the handoffs of a period, and by what they are supposed to be measured."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection, func, select

from services.sla.domain.accord import Accord
from services.sla.domain.agreement import AgreementVersion
from services.sla.domain.almanac import MadeCalendar
from services.sla.domain.backtest import Supposition, supposed_accords
from services.sla.domain.calendar import Calendars
from services.sla.domain.decide import Measuring
from services.sla.domain.rota import Assignment, Rota
from services.sla.domain.terms import Terms, agreed
from services.sla.domain.timeline import FactKind
from services.sla.store import schema
from services.sla.store.archive import Archive
from services.sla.store.planning import rota_of
from services.sla.store.tx import SlaTx

_fact: Final = schema.fact
_BEHIND_ALL: Final = "\U0010ffff"
_ALWAYS: Final = datetime(1, 1, 2, tzinfo=UTC)


def count_handoffs(connection: Connection, tenant: str, start: datetime, end: datetime) -> int:
    """Return how many handoffs of a tenant were submitted in `[start, end)`."""
    prefix = f"tenants/{tenant}/"
    query = select(func.count(func.distinct(_fact.c.handoff))).where(
        _fact.c.handoff > prefix,
        _fact.c.handoff < prefix + _BEHIND_ALL,
        _fact.c.kind == FactKind.SUBMITTED.value,
        _fact.c.occur_time >= start,
        _fact.c.occur_time < end,
    )
    return connection.execute(query).scalar_one()


def handoffs_after(
    connection: Connection, tenant: str, start: datetime, end: datetime, *, after: str, limit: int
) -> list[str]:
    """Return the next handoffs submitted in `[start, end)`, in order of name; `after` is inside."""
    prefix = f"tenants/{tenant}/"
    query = (
        select(_fact.c.handoff)
        .where(
            _fact.c.handoff >= max(after, prefix),
            _fact.c.handoff < prefix + _BEHIND_ALL,
            _fact.c.kind == FactKind.SUBMITTED.value,
            _fact.c.occur_time >= start,
            _fact.c.occur_time < end,
        )
        .distinct()
        .order_by(_fact.c.handoff)
        .limit(limit)
    )
    return list(connection.execute(query).scalars())


@dataclass(slots=True)
class Measures:
    """By what a tenant's handoffs are measured: as it was agreed, or with a supposition in its place."""

    tx: SlaTx
    archive: Archive
    tenant: str
    supposition: Supposition = field(default_factory=Supposition)
    accords: list[Accord] = field(init=False)
    """What was ever in force, or is supposed to have been, in the tenant's order."""
    _known: dict[str, tuple[Terms, AgreementVersion, Calendars]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        actual = self.tx.accords([self.tenant])[self.tenant]
        supposed = self.supposition.terms
        self.accords = actual if supposed is None else supposed_accords(actual, supposed, self.tenant)

    @property
    def measuring(self) -> Measuring:
        """What `decide` asks."""
        return self._measure

    @property
    def terms(self) -> Mapping[str, Terms]:
        """The terms of every version that was asked for."""
        return {version: terms for version, (terms, _, _) in self._known.items()}

    def ask(self, version: str) -> None:
        """Have the terms of a version among `terms`."""
        self._measure(version)

    def _measure(self, version: str, calendar: str = "") -> tuple[Terms, AgreementVersion, Calendars]:
        if version not in self._known:
            self._known[version] = self._read(version)
        terms, agreement, calendars = self._known[version]
        return terms, agreement, self._calendar(calendar).pinned() if calendar else calendars

    def _read(self, version: str) -> tuple[Terms, AgreementVersion, Calendars]:
        supposed = self.supposition.terms
        if supposed is not None and version == supposed.name(self.tenant):
            terms = supposed.terms
            agreement = agreed(terms, name=version, number=supposed.number)
            calendar = self.supposition.calendar or self._calendar(terms.calendar_version)
            return terms, agreement, self._calendars(calendar)
        measure = self.tx.measure(version)
        if self.supposition.decides_as_it_was:
            return measure.terms, measure.agreement, measure.calendars
        calendars = self._calendars(self.supposition.calendar or measure.calendar)
        return measure.terms, measure.agreement, calendars

    def _calendars(self, default: MadeCalendar) -> Calendars:
        rota = rota_of(self.tx.connection, self.tenant)
        made = {each.name: each for each in self.supposition.team_calendars.values()}
        own = {
            team: (
                Assignment(
                    tenant=self.tenant,
                    holder=team,
                    calendar_version=each.name,
                    effective_time=_ALWAYS,
                    principal="",
                    create_time=_ALWAYS,
                ),
            )
            for team, each in self.supposition.team_calendars.items()
        }
        rota = replace(rota, by_holder={**rota.by_holder, **own})
        if not rota.by_holder:
            return default.pinned()
        return Rota(rota.by_holder).with_teams(
            default, lambda name: made[name] if name in made else self._calendar(name)
        )

    def _calendar(self, version: str) -> MadeCalendar:
        found = self.archive.calendar(self.tx.connection, version)
        assert found is not None, version  # noqa: S101 - looked up before it was given to anybody
        return found
