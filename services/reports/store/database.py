"""The whole database of reports: the read model, and what every service keeps beside its own."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import MetaData

from services.reports.store.schema import Tables, define_tables
from smarketing.eventlog.tables import EventLogTables
from smarketing.eventlog.tables import define_tables as define_log_tables
from smarketing.server.commands import CommandTables, define_commands
from smarketing.server.directory import DirectoryTables, define_directory
from smarketing.sql.leases import define_leases

__all__ = ["SCHEMA", "Schema"]


@dataclass(frozen=True, slots=True)
class Schema:
    """Every table, by owner."""

    metadata: MetaData
    reports: Tables
    commands: CommandTables
    directory: DirectoryTables
    event_log: EventLogTables


def _define() -> Schema:
    metadata = MetaData()
    define_leases(metadata)
    return Schema(
        metadata=metadata,
        reports=define_tables(metadata),
        commands=define_commands(metadata),
        directory=define_directory(metadata),
        event_log=define_log_tables(metadata),
    )


SCHEMA: Final = _define()
"""The present schema."""
