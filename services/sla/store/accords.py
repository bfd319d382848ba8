"""Agreement versions with the parties' word on them."""

from collections.abc import Iterable, Sequence
from typing import Final

from sqlalchemy import Connection, Row, Select, and_, insert, select, update

from services.sla.domain.accord import Acceptance, Accord, AccordState
from services.sla.domain.agreement import Party
from services.sla.store import schema
from services.sla.wire.agreements import terms_bytes, terms_from_bytes
from services.sla.wire.names import version_number
from smarketing.names import AGREEMENT_VERSION
from smarketing.sql import UpsertRows

_version = schema.agreement_version
_acceptance = schema.agreement_acceptance
_put_acceptances: Final = UpsertRows(
    _acceptance,
    key=["tenant", "agreement", "version", "party"],
    replace=["principal", "accept_time"],
)
_PARTY_ORDER: Final = {party.value: at for at, party in enumerate(Party)}


Standing = tuple[tuple[object, ...], ...]
"""Where the versions of a tenant that were ever in force stand; equal as long as nothing of them changed."""

_standing_columns: Final = [
    _version.columns[name]
    for name in (
        "agreement",
        "version",
        "revision",
        "propose_time",
        "activate_time",
        "effective_time",
        "retire_time",
    )
]


def standing_of(connection: Connection, tenant: str) -> Standing:
    """Return where the versions stand that were ever in force, without their terms."""
    query = select(*_standing_columns).where(
        _version.c.tenant == tenant, _version.c.effective_time.is_not(None)
    )
    return tuple(
        tuple(row) for row in connection.execute(query.order_by(_version.c.agreement, _version.c.version))
    )


def accords_ever_active(connection: Connection, tenants: Iterable[str]) -> dict[str, list[Accord]]:
    """Return every version ever in force, by tenant: older agreements, then newer versions, first."""
    query = select(_version).where(
        _version.c.tenant.in_(list(tenants)), _version.c.effective_time.is_not(None)
    )
    found = _accords(connection, query)
    first_proposed: dict[tuple[str, str], object] = {}
    for accord in sorted(found, key=lambda each: each.propose_time):
        first_proposed.setdefault((accord.tenant, accord.agreement), accord.propose_time)
    found.sort(key=lambda each: (first_proposed[each.tenant, each.agreement], each.agreement, -each.number))
    by_tenant: dict[str, list[Accord]] = {}
    for accord in found:
        by_tenant.setdefault(accord.tenant, []).append(accord)
    return by_tenant


def find_accord(connection: Connection, name: str) -> Accord | None:
    """Return the version of this name; None when there is none."""
    if not AGREEMENT_VERSION.matches(name):
        return None
    tenant, agreement, text = AGREEMENT_VERSION.parse(name)
    number = version_number(text)
    if number is None:
        return None
    query = select(_version).where(
        _version.c.tenant == tenant, _version.c.agreement == agreement, _version.c.version == number
    )
    return next(iter(_accords(connection, query)), None)


def accords_of(connection: Connection, tenant: str, agreement: str) -> list[Accord]:
    """Return the versions of one agreement, newest first."""
    query = (
        select(_version)
        .where(_version.c.tenant == tenant, _version.c.agreement == agreement)
        .order_by(_version.c.version.desc())
    )
    return _accords(connection, query)


def page_of_accords(
    connection: Connection,
    tenant: str,
    agreement: str | None,
    *,
    limit: int,
    after: Sequence[int | str] | None,
) -> list[Accord]:
    """Return versions, the one proposed last at the top; `after` is the key of the last one seen."""
    query = select(_version).where(_version.c.tenant == tenant)
    if agreement is not None:
        query = query.where(_version.c.agreement == agreement)
    if after is not None:
        seen_agreement, seen_version = after
        query = query.where(
            (_version.c.agreement > seen_agreement)
            | and_(_version.c.agreement == seen_agreement, _version.c.version < seen_version)
        )
    return _accords(connection, query.order_by(_version.c.agreement, _version.c.version.desc()).limit(limit))


def add_accord(connection: Connection, accord: Accord) -> None:
    """Write a new version."""
    connection.execute(
        insert(_version).values(
            tenant=accord.tenant,
            agreement=accord.agreement,
            version=accord.number,
            terms=terms_bytes(accord.terms),
            propose_time=accord.propose_time,
            **_standing(accord),
        )
    )
    _keep_acceptances(connection, accord)


def save_accord(connection: Connection, accord: Accord) -> None:
    """Write where a version stands; its terms stay what they are."""
    connection.execute(
        update(_version)
        .where(
            _version.c.tenant == accord.tenant,
            _version.c.agreement == accord.agreement,
            _version.c.version == accord.number,
        )
        .values(**_standing(accord))
    )
    _keep_acceptances(connection, accord)


def _standing(accord: Accord) -> dict[str, object]:
    return {
        "revision": accord.revision,
        "state": accord.state.value,
        "activate_time": accord.activate_time,
        "effective_time": accord.effective_time,
        "retire_time": accord.retire_time,
    }


def _keep_acceptances(connection: Connection, accord: Accord) -> None:
    key = (accord.tenant, accord.agreement, accord.number)
    # A party's word that is on record is among them, and is written as it was.
    _put_acceptances.upsert(
        connection,
        [(*key, each.party.value, each.principal, each.accept_time) for each in accord.acceptances],
    )


def _accords(connection: Connection, query: Select[tuple[object, ...]]) -> list[Accord]:
    rows = connection.execute(query).all()
    keys = {(row.tenant, row.agreement) for row in rows}
    given: dict[tuple[str, str, int], list[Acceptance]] = {}
    if keys:
        spoken = select(_acceptance).where(
            _acceptance.c.tenant.in_({tenant for tenant, _ in keys}),
            _acceptance.c.agreement.in_({agreement for _, agreement in keys}),
        )
        for word in sorted(connection.execute(spoken), key=lambda row: _PARTY_ORDER[row.party]):
            given.setdefault((word.tenant, word.agreement, word.version), []).append(
                Acceptance(party=Party(word.party), principal=word.principal, accept_time=word.accept_time)
            )
    return [_accord(row, given.get((row.tenant, row.agreement, row.version), ())) for row in rows]


def _accord(row: Row[tuple[object, ...]], acceptances: Sequence[Acceptance]) -> Accord:
    return Accord(
        tenant=row.tenant,
        agreement=row.agreement,
        number=row.version,
        revision=row.revision,
        state=AccordState(row.state),
        terms=terms_from_bytes(row.terms),
        acceptances=tuple(acceptances),
        propose_time=row.propose_time,
        activate_time=row.activate_time,
        effective_time=row.effective_time,
        retire_time=row.retire_time,
    )
