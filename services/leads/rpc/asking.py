"""Who is calling, and which resources the request names, in this domain's words."""

from services.leads.domain.handoff_id import HandoffId
from services.leads.store.transaction import By
from services.leads.usecases.asking import Asker
from smarketing import names
from smarketing.server.auth import PrincipalKind, Role
from smarketing.server.calls import current_call
from smarketing.server.commands import Call
from smarketing.server.policy import permission_denied

_MOST_DIGITS = 12


def asker(person: str = "") -> Asker:
    """Return the caller; `person` is for whom, as the request says."""
    current = current_call()
    caller = current.caller
    return Asker(
        principal=caller.principal,
        is_system=caller.kind is not PrincipalKind.PERSON,
        person=person or caller.on_behalf_of,
        manages=Role.SALES_MANAGER in caller.roles,
        traceparent=current.traceparent,
    )


def by_caller() -> By:
    """Return the caller as the log names them."""
    current = current_call()
    return By(current.caller.actor, current.traceparent)


def batch_call(request_id: str) -> Call:
    """Return the call of one batch of a stream; its requests are known by keys of their own."""
    current = current_call()
    return Call(
        tenant=current.tenant,
        principal=current.caller.principal,
        on_behalf_of=current.caller.on_behalf_of,
        method=current.method,
        request_id=request_id.lower(),
        fingerprint=b"",
        resource=current.resource,
        traceparent=current.traceparent,
    )


def handoff_in(name: str, *, field: str = "name") -> HandoffId:
    """Return the handoff of this name.

    Raises:
        NameInvalid: it is no handoff's name.
        Refusal: it is another tenant's.
    """
    tenant, lead, number = names.HANDOFF.parse(name, field=field)
    if tenant != current_call().tenant:
        raise permission_denied()
    return HandoffId(tenant, lead, number_in(number, field, names.HANDOFF))


def offer_in(name: str) -> tuple[HandoffId, int]:
    """Return the handoff and the number of the offer of this name.

    Raises:
        NameInvalid: it is no offer's name.
    """
    tenant, lead, number, offer = names.OFFER.parse(name)
    handoff = HandoffId(tenant, lead, number_in(number, "name", names.OFFER))
    return handoff, number_in(offer, "name", names.OFFER)


def number_in(text: str, field: str, pattern: names.Pattern) -> int:
    """Return a number that stands in a name, where it is spelled the one way it can be.

    Raises:
        NameInvalid: it is none.
    """
    if text.isascii() and text.isdigit() and text[0] != "0" and len(text) <= _MOST_DIGITS:
        return int(text)
    raise names.NameInvalid(field, pattern.template)
