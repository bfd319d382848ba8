"""Which rows of a table are a lead's: found by an index, in a tenant however large."""

from sqlalchemy import ColumnElement, FromClause, Table, and_, select, tuple_

from services.leads.store.people import LeadKey

__all__ = ["of_lead"]


def of_lead(table: Table, lead: LeadKey) -> ColumnElement[bool]:
    """Return the condition that a row of the table is the lead's.

    Without statistics SQLite holds reading all of a tenant for cheaper than two steps by an index that lacks
    columns. So a table that does not begin with the lead is asked by the keys that its index alone gives.
    """
    key = list(table.primary_key.columns)
    if [column.name for column in key[:2]] == ["tenant", "lead"]:
        return _own(table, lead)
    indexed = table.alias("of_lead")
    return tuple_(*key).in_(select(*(indexed.c[column.name] for column in key)).where(_own(indexed, lead)))


def _own(table: FromClause, lead: LeadKey) -> ColumnElement[bool]:
    return and_(table.c.tenant == lead[0], table.c.lead == lead[1])
