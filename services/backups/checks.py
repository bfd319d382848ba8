"""What must hold of three SQLite files that belong together: whole logs, known places, and conserved sums.

Every fault is a sentence; none means that consumers will go on where they were, and that no figure lies.
"""

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Final

from sqlalchemy import Connection, func, inspect, select, text

from services.backups.houses import HOUSES, House
from services.leads.store.figures import read_figures
from services.reports.store.database import SCHEMA as REPORTS
from services.reports.store.reconcile import reconcile
from services.sla.store import schema as sla
from services.sla.store.tallies import STARTED
from smarketing.eventlog.checkpoints import Checkpoint, find_checkpoint
from smarketing.eventlog.checksums import damaged_positions
from smarketing.eventlog.reading import head
from smarketing.eventlog.tables import WHOLE_LOG
from smarketing.sql import schema_revision, to_micros

__all__ = ["Connections", "faults_of_logs", "faults_of_places", "faults_of_sums"]

Connections = Mapping[str, Connection]
"""Service → a connection to its database, all of one instant."""

_MOST_TOLD: Final = 20
_WHOLE: Final = text("SELECT count(*), coalesce(min(position), 1), coalesce(max(position), 0) FROM event_log")
_OF_TENANTS: Final = text(
    "SELECT e.tenant, count(*), min(e.tenant_position), max(e.tenant_position), max(h.position)"
    " FROM event_log e LEFT JOIN log_head h ON h.view = e.tenant"
    # What is of no tenant is numbered as the whole log is.
    " WHERE e.tenant <> :whole GROUP BY e.tenant"
)
_DISORDER: Final = text(
    "SELECT count(*) FROM (SELECT position, lag(position) OVER"
    " (PARTITION BY tenant, subject ORDER BY subject_version) AS before FROM event_log) AS pairs"
    " WHERE before > position"
)
_RECORDED: Final = text("SELECT record_time FROM event_log WHERE position = :position")


def faults_of_logs(connections: Connections) -> list[str]:
    """Return where a log has a hole, ends elsewhere than it says, or tells a subject's events in disorder."""
    return [f"{name}: {fault}" for name, each in connections.items() for fault in _faults_of_log(each)]


def faults_of_places(connections: Connections) -> list[str]:
    """Return which consumers would stop: they know another log, or an event that is not in it."""
    faults = []
    for house in HOUSES:
        for consumer, followed in house.follows.items():
            place = find_checkpoint(connections[house.service], consumer)
            if place is not None and place.log_id:
                fault = _fault_of_place(place, connections[followed])
                faults += [f"{house.service}: its consumer {consumer} {fault}"] if fault else []
    return faults


def faults_of_sums(connections: Connections) -> list[str]:
    """Return which sums differ from what they were added up from.

    A database that an older build left is added up after its migration, not before.
    """
    current = [house.service for house in HOUSES if _is_current(house, connections[house.service])]
    return [fault for service in current if (fault := _SUMS[service](connections[service]))]


def _is_current(house: House, connection: Connection) -> bool:
    return schema_revision(connection) == house.schema


def _faults_of_log(connection: Connection) -> list[str]:
    _, end = head(connection, WHOLE_LOG)
    faults = []
    count, first, last = connection.execute(_WHOLE).one()
    if (first, last, count) != (1, end, end):
        faults.append(f"its log should be 1 to {end}, but {count} events are at {first} to {last}.")
    for tenant, count_, first_, last_, end_ in connection.execute(_OF_TENANTS, {"whole": WHOLE_LOG}):
        if (first_, last_, count_) != (1, end_, end_):
            faults.append(f"{tenant} has {count_} events at {first_} to {last_}, and its head is {end_}.")
    disorder = connection.execute(_DISORDER).scalar_one()
    if disorder:
        faults.append(f"{disorder} events stand before an earlier one of the same subject.")
    return faults + _damage_of_log(connection)


def _damage_of_log(connection: Connection) -> list[str]:
    """Look at each event; the database of a build that had no sums yet is taken at its word."""
    if "checksum" not in {column["name"] for column in inspect(connection).get_columns("event_log")}:
        return []
    damaged = list(islice(damaged_positions(connection), _MOST_TOLD))
    return [f"the event at position {position} is not as it was recorded." for position in damaged]


def _fault_of_place(place: Checkpoint, followed: Connection) -> str:
    log_id, end = head(followed, WHOLE_LOG)
    if place.log_id != log_id:
        return f"follows the log {place.log_id}, but this one is {log_id}."
    if place.position > end:
        return f"is at position {place.position}, but the log ends at {end}."
    if place.position and place.record_time is not None:
        stored = followed.execute(_RECORDED, {"position": place.position}).scalar()
        if stored != to_micros(place.record_time):
            return f"took in another event at position {place.position} than the log holds there."
    return ""


def _sums_of_leads(connection: Connection) -> str:
    figures = read_figures(connection, [])
    if figures.are_conserved:
        return ""
    return (
        f"leads: {figures.submitted} handoffs began, {figures.standing} stand in a state,"
        f" {figures.unowned} open ones are nobody's."
    )


def _sums_of_sla(connection: Connection) -> str:
    tally, clock = sla.tally, sla.clock
    started = connection.execute(
        select(func.coalesce(func.sum(tally.c.count), 0)).where(tally.c.what == STARTED)
    ).scalar_one()
    standing = connection.execute(select(func.count()).select_from(clock)).scalar_one()
    return "" if started == standing else f"sla: {started} clocks were started, and {standing} are there."


def _sums_of_reports(connection: Connection) -> str:
    mismatches = reconcile(connection, REPORTS.reports)
    if not mismatches.total:
        return ""
    told = ", ".join(f"{name} {number}" for name, number in mismatches._asdict().items() if number)
    return f"reports: sums and facts differ: {told}."


_SUMS: Final[Mapping[str, Callable[[Connection], str]]] = {
    "leads": _sums_of_leads,
    "sla": _sums_of_sla,
    "reports": _sums_of_reports,
}
