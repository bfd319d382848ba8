"""Answer who owns a clock now, and what could be promised: reads, of one instant."""

from collections.abc import Mapping
from datetime import datetime

from services.sla.domain.recorded import Clock
from services.sla.domain.responsibility import by_default
from services.sla.domain.targets import Durations
from services.sla.domain.terms import Promise
from services.sla.store.accords import find_accord
from services.sla.store.archive import Archive
from services.sla.store.durations import durations_of
from services.sla.store.tx import SlaTx
from smarketing.businesstime import BusinessTime
from smarketing.sql import Connection


def responsible_for(
    connection: Connection, archive: Archive, clock: Clock, *, now: datetime
) -> tuple[Mapping[str, tuple[str, ...]], bool]:
    """Return the people of each part, and whether the agreement names the roles itself."""
    tx = SlaTx(connection, archive, now=now)
    promise = tx.measure(clock.agreement_version).terms.promise(clock.commitment_id)
    staff = tx.staff(clock.tenant)
    parts = promise.responsibilities or by_default(promise.parties)
    parties = [party.value for party in promise.parties]
    people = {
        part: staff.recipients(roles, owner=clock.owner, team=clock.team, parties=parties)
        for part, roles in parts.parts().items()
    }
    return people, promise.responsibilities is not None


def proposals(
    connection: Connection, version: str, *, start: datetime, end: datetime
) -> list[tuple[Promise, Durations]] | None:
    """Return how long clocks took, for each commitment and target of a version; None when there is no such.

    A target that no clock had yet is there too, with nothing settled.
    """
    accord = find_accord(connection, version)
    if accord is None:
        return None
    found = durations_of(connection, accord.name, start=start, end=end)
    rows: list[tuple[Promise, Durations]] = []
    for promise in accord.terms.promises:
        known = {each.target: each for each in found if each.commitment_id == promise.id}
        targets = {target.amount or BusinessTime() for target in promise.targets} | known.keys()
        rows += [(promise, known.get(target) or _none(promise, target)) for target in sorted(targets)]
    return rows


def _none(promise: Promise, target: BusinessTime) -> Durations:
    return Durations(commitment_id=promise.id, target=target, settled=0, done=0, p50=None, p80=None)
