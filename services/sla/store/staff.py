"""Who is whom in a tenant, from the directory's mirror and the queues."""

from collections.abc import Sequence

from sqlalchemy import Connection, select

from services.sla.domain.alert import Staff
from services.sla.store import schema
from smarketing.server.auth import PrincipalKind, Role
from smarketing.sql import UpsertRows

_put_queues = UpsertRows(schema.queue, key=["tenant", "queue"], replace=["team", "manager"])


def staff_of(connection: Connection, tenant: str) -> Staff:
    """Return the managers of teams and queues, and the people whose roles an agreement can name."""
    principal, team = schema.directory_tables.principal, schema.directory_tables.team
    people = connection.execute(
        select(principal.c.principal, principal.c.roles).where(
            principal.c.tenant == tenant,
            principal.c.kind == PrincipalKind.PERSON.value,
            principal.c.active.is_(True),
        )
    ).all()
    roles = {person: frozenset(text.split()) for person, text in people}
    of_teams = select(team.c.team, team.c.manager).where(team.c.tenant == tenant)
    managers: dict[str, str] = {row.team: row.manager for row in connection.execute(of_teams)}
    queue = schema.queue
    for name, manager, of_team in connection.execute(
        select(queue.c.queue, queue.c.manager, queue.c.team).where(queue.c.tenant == tenant)
    ):
        managers[name] = manager or managers.get(of_team, "")
    return Staff(
        managers=managers,
        marketing_managers=_with_role(roles, Role.MARKETING_MANAGER),
        sales_managers=_with_role(roles, Role.SALES_MANAGER),
        leadership=_with_role(roles, Role.LEADERSHIP),
    )


def put_queues(connection: Connection, queues: Sequence[tuple[str, str, str, str]]) -> None:
    """Keep queues as `(tenant, queue, team, manager)`; the last word about one counts."""
    _put_queues.upsert(connection, list({queue[:2]: queue for queue in queues}.values()))


def _with_role(roles: dict[str, frozenset[str]], role: Role) -> frozenset[str]:
    return frozenset(person for person, held in roles.items() if role.value in held)
