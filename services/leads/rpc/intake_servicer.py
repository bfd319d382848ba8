# ruff: noqa: N802, ARG002 -- the contract chooses the names, gRPC the arguments
"""IntakeService: sources, what was set aside of them, write-backs and rules."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import grpc.aio

from services.leads.domain.intake import (
    CONTACT_FIELDS,
    MappingUnknown,
    Secrets,
    Source,
    SourceUnknown,
)
from services.leads.store.intake import KeptRules, rules_of
from services.leads.store.leads import LeadStore
from services.leads.store.write_back import page_of_write_backs
from services.leads.usecases import intake, sources, write_backs
from services.leads.usecases.fetching import Catalogue, Fetcher
from services.leads.wire import intake as wire
from smarketing import names, wallclock
from smarketing.api.leads.v1 import intake_pb2 as intakepb
from smarketing.api.leads.v1.intake_pb2_grpc import IntakeServiceServicer
from smarketing.delivery import AddressPolicy, NewEndpoint, Sealer, new_secret
from smarketing.delivery.addresses import resolve
from smarketing.server.commands import Command, Done, answer, call_for
from smarketing.server.errors import field_invalid
from smarketing.server.paging import PageTokens, page_size_of
from smarketing.sql import to_micros

__all__ = ["IntakeServicer"]

_Context = grpc.aio.ServicerContext[Any, Any]

_SHORTEST_SECRET: Final = 8
_LONGEST_SECRET: Final = 512
_MOST_REPLAYED: Final = 100
_MOST_RULES: Final = 500


@dataclass(frozen=True, slots=True)
class _Page:
    """A page that was asked for."""

    size: int
    after: Any


class IntakeServicer(IntakeServiceServicer):
    """Connects the systems that send webhooks, and those that are told what became of leads."""

    def __init__(
        self,
        store: LeadStore,
        catalogue: Catalogue,
        fetcher: Fetcher,
        *,
        addresses: AddressPolicy,
        sealer: Sealer,
        pages: PageTokens,
        wake_sender: Callable[[], None],
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._fetcher = fetcher
        self._addresses = addresses
        self._pages = pages
        sealing = sources.Sources(catalogue.reading)
        self._create_source = sealing.create
        self._rotate = sealing.rotate
        self._create_write_back = write_backs.WriteBacks(sealer).create
        self._wake_sender = wake_sender

    async def CreateSource(
        self, request: intakepb.CreateSourceRequest, context: _Context
    ) -> intakepb.CreateSourceResponse:
        """Register a source and show the secret this once, when it was made here."""
        (tenant,) = names.TENANT.parse(request.parent, field="parent")
        told = request.source
        if not _is_of(told.system, tenant):
            raise names.NameInvalid("source.system", f"tenants/{tenant}/systems/{{system}}")
        if told.mapping not in self._catalogue.mappings:
            raise MappingUnknown(told.mapping, tuple(self._catalogue.mappings))
        if told.api_url:
            await resolve(told.api_url, self._addresses)
        secret = _secret_in(request.secret, "secret")
        wanted = sources.CreateSource(
            source=Source(
                tenant=tenant,
                source_id=wallclock.new_id(),
                system=told.system,
                mapping=told.mapping,
                create_time=wallclock.utc_now(),
                display_name=told.display_name,
                public_url=told.public_url,
                api_url=told.api_url.rstrip("/"),
                people=_people_in(told, tenant),
            ),
            secrets=Secrets(
                present=secret or new_secret(),
                api_token=request.api_token,
                verify_token=request.verify_token,
                digest_key=secrets.token_hex(32),
            ),
        )
        outcome = await self._store.command(
            self._create_source, Command(wanted, call_for(request)), render=_created
        )
        response = answer(outcome, intakepb.CreateSourceResponse)
        if _is_new(outcome) and not secret:
            # The secret never leaves this method but in the answer: what is kept for a repetition lacks it.
            response.secret = wanted.secrets.present
        return response

    async def ListSources(
        self, request: intakepb.ListSourcesRequest, context: _Context
    ) -> intakepb.ListSourcesResponse:
        """List sources, newest first."""
        (tenant,) = names.TENANT.parse(request.parent, field="parent")
        page = self._page(request)
        query = self._catalogue.reading.sources(tenant, limit=page.size + 1, after=page.after)
        found = await self._store.read(query)
        token = self._token(request, page, found, lambda each: [each.source_id])
        shown = map(wire.source_message, found[: page.size])
        return intakepb.ListSourcesResponse(sources=shown, next_page_token=token)

    async def RotateSourceSecret(
        self, request: intakepb.RotateSourceSecretRequest, context: _Context
    ) -> intakepb.RotateSourceSecretResponse:
        """Give a source another secret; the present one stays valid for a day."""
        tenant, source_id = names.SOURCE.parse(request.name)
        secret = _secret_in(request.secret, "secret")
        wanted = sources.RotateSecret(
            tenant=tenant,
            source_id=source_id,
            secret=secret or new_secret(),
            api_token=request.api_token,
        )
        outcome = await self._store.command(self._rotate, Command(wanted, call_for(request)), render=_rotated)
        response = answer(outcome, intakepb.RotateSourceSecretResponse)
        if _is_new(outcome) and not secret:
            response.secret = wanted.secret
        return response

    async def DeleteSource(self, request: intakepb.DeleteSourceRequest, context: _Context) -> intakepb.Source:
        """Remove a source."""
        tenant, source_id = names.SOURCE.parse(request.name)
        wanted = sources.DeleteSource(tenant=tenant, source_id=source_id)
        outcome = await self._store.command(
            sources.delete_sources, Command(wanted, call_for(request)), render=wire.source_message
        )
        return answer(outcome, intakepb.Source)

    async def ListSetAside(
        self, request: intakepb.ListSetAsideRequest, context: _Context
    ) -> intakepb.ListSetAsideResponse:
        """List what was set aside, oldest first."""
        tenant, source_id = names.SOURCE.parse(request.parent, field="parent")
        page = self._page(request)
        query = self._catalogue.reading.set_aside(tenant, source_id, limit=page.size + 1, after=page.after)
        found = await self._store.read(query)
        token = self._token(request, page, found, lambda each: [to_micros(each.create_time), each.item])
        shown = map(wire.set_aside_message, found[: page.size])
        return intakepb.ListSetAsideResponse(set_aside=shown, next_page_token=token)

    async def ReplaySetAside(
        self, request: intakepb.ReplaySetAsideRequest, context: _Context
    ) -> intakepb.ReplaySetAsideResponse:
        """Try again what was set aside."""
        tenant, source_id = names.SOURCE.parse(request.parent, field="parent")
        items = [_item_in(name, tenant, source_id) for name in request.names]
        if len(items) > _MOST_REPLAYED:
            raise field_invalid("names", f"at most {_MOST_REPLAYED}")
        registered = await self._catalogue.find(source_id)
        if registered is None or registered.source.tenant != tenant:
            raise SourceUnknown(request.parent)
        query = self._catalogue.reading.bodies(tenant, source_id, items, limit=_MOST_REPLAYED)
        told = [
            wire.told_again(registered.mapping, registered.source, kept, body, registered.context)
            for kept, body in await self._store.read(query)
        ]
        delivery = intake.Delivery(source=registered.source, items=told, replayed=True)
        outcome = await self._store.command(
            intake.replay, Command(delivery, call_for(request)), render=_replayed
        )
        self._fetcher.wake()
        return answer(outcome, intakepb.ReplaySetAsideResponse)

    async def CreateWriteBack(
        self, request: intakepb.CreateWriteBackRequest, context: _Context
    ) -> intakepb.CreateWriteBackResponse:
        """Register an address and show its secret this once."""
        (tenant,) = names.TENANT.parse(request.parent, field="parent")
        told = request.write_back
        if not names.is_id(told.source_system):
            raise field_invalid("write_back.source_system", "the `source_system` of its leads")
        await resolve(told.url, self._addresses)
        new = NewEndpoint(
            tenant=tenant,
            endpoint_id=wallclock.new_id(),
            url=told.url,
            display_name=told.display_name,
            secret=new_secret(),
        )
        wanted = write_backs.CreateWriteBack(new=new, source_system=told.source_system)
        outcome = await self._store.command(
            self._create_write_back, Command(wanted, call_for(request)), render=_created_write_back
        )
        response = answer(outcome, intakepb.CreateWriteBackResponse)
        if _is_new(outcome):
            response.secret = new.secret
        return response

    async def ListWriteBacks(
        self, request: intakepb.ListWriteBacksRequest, context: _Context
    ) -> intakepb.ListWriteBacksResponse:
        """List write-backs, newest first."""
        (tenant,) = names.TENANT.parse(request.parent, field="parent")
        page = self._page(request)
        found = await self._store.read(page_of_write_backs(tenant, limit=page.size + 1, after=page.after))
        token = self._token(
            request, page, found, lambda each: [to_micros(each[0].create_time), each[0].endpoint_id]
        )
        shown = (wire.write_back_message(*each) for each in found[: page.size])
        return intakepb.ListWriteBacksResponse(write_backs=shown, next_page_token=token)

    async def DeleteWriteBack(
        self, request: intakepb.DeleteWriteBackRequest, context: _Context
    ) -> intakepb.WriteBack:
        """Remove a write-back."""
        tenant, endpoint_id = names.WRITE_BACK.parse(request.name)
        wanted = write_backs.WriteBackNamed(tenant=tenant, endpoint_id=endpoint_id)
        outcome = await self._store.command(
            write_backs.delete_write_backs,
            Command(wanted, call_for(request)),
            render=lambda each: wire.write_back_message(*each),
        )
        return answer(outcome, intakepb.WriteBack)

    async def ReplayWriteBack(
        self, request: intakepb.ReplayWriteBackRequest, context: _Context
    ) -> intakepb.ReplayWriteBackResponse:
        """Send again what was given up."""
        tenant, endpoint_id = names.WRITE_BACK.parse(request.name)
        wanted = write_backs.WriteBackNamed(tenant=tenant, endpoint_id=endpoint_id)
        outcome = await self._store.command(
            write_backs.replay_write_backs,
            Command(wanted, call_for(request)),
            render=lambda count: intakepb.ReplayWriteBackResponse(replayed_count=count),
        )
        self._wake_sender()
        return answer(outcome, intakepb.ReplayWriteBackResponse)

    async def GetIntakeRules(
        self, request: intakepb.GetIntakeRulesRequest, context: _Context
    ) -> intakepb.IntakeRules:
        """Return a tenant's rules."""
        tenant = _rules_tenant(request.name)
        kept = await self._store.read(lambda connection: rules_of(connection, tenant))
        return wire.rules_message(tenant, kept.version, kept.rules)

    async def ApplyIntakeRules(
        self, request: intakepb.ApplyIntakeRulesRequest, context: _Context
    ) -> intakepb.IntakeRules:
        """Keep a tenant's rules."""
        (tenant,) = names.TENANT.parse(request.parent, field="parent")
        _check_rules(request.intake_rules)
        kept = intakepb.IntakeRules(
            utm_rules=request.intake_rules.utm_rules, field_owners=request.intake_rules.field_owners
        )
        wanted = sources.ApplyRules(
            tenant=tenant, etag=request.intake_rules.etag, rules=kept.SerializeToString()
        )
        outcome = await self._store.command(
            sources.apply_rules, Command(wanted, call_for(request)), render=_rules
        )
        return answer(outcome, intakepb.IntakeRules)

    def _page(self, request: Any) -> _Page:
        return _Page(page_size_of(request), self._pages.read(request))

    def _token(self, request: Any, page: _Page, found: list[Any], key: Callable[[Any], Any]) -> str:
        return self._pages.issue(request, key(found[page.size - 1])) if len(found) > page.size else ""


def _created(source: Source) -> intakepb.CreateSourceResponse:
    return intakepb.CreateSourceResponse(source=wire.source_message(source))


def _rotated(source: Source) -> intakepb.RotateSourceSecretResponse:
    return intakepb.RotateSourceSecretResponse(source=wire.source_message(source))


def _replayed(replayed: intake.Replayed) -> intakepb.ReplaySetAsideResponse:
    return intakepb.ReplaySetAsideResponse(tried_count=replayed.tried, taken_count=replayed.taken)


def _created_write_back(each: write_backs.Told) -> intakepb.CreateWriteBackResponse:
    return intakepb.CreateWriteBackResponse(write_back=wire.write_back_message(*each))


def _rules(told: tuple[str, KeptRules]) -> intakepb.IntakeRules:
    tenant, kept = told
    return wire.rules_message(tenant, kept.version, kept.rules)


def _is_new(outcome: Done | Exception) -> bool:
    return isinstance(outcome, Done) and not outcome.replayed


def _is_of(system: str, tenant: str) -> bool:
    return names.SYSTEM.matches(system) and names.tenant_of(system) == tenant


def _secret_in(text: str, field: str) -> str:
    if text and not _SHORTEST_SECRET <= len(text) <= _LONGEST_SECRET:
        raise field_invalid(field, f"{_SHORTEST_SECRET} to {_LONGEST_SECRET} characters, or empty")
    return text


def _people_in(told: intakepb.Source, tenant: str) -> dict[str, str]:
    for person in told.people.values():
        if not names.PERSON.matches(person) or names.tenant_of(person) != tenant:
            raise field_invalid("source.people", f"names such as tenants/{tenant}/people/{{person}}")
    return dict(told.people)


def _item_in(name: str, tenant: str, source_id: str) -> str:
    of_tenant, of_source, item = names.SET_ASIDE.parse(name, field="names")
    if (of_tenant, of_source) != (tenant, source_id):
        raise field_invalid("names", "of the source in `parent`")
    return item


def _rules_tenant(name: str) -> str:
    tenant, _, rest = name.removeprefix("tenants/").partition("/")
    if rest != "intakeRules" or not names.is_id(tenant) or not name.startswith("tenants/"):
        raise names.NameInvalid("name", "tenants/{tenant}/intakeRules")
    return tenant


def _check_rules(rules: intakepb.IntakeRules) -> None:
    if max(len(rules.utm_rules), len(rules.field_owners)) > _MOST_RULES:
        raise field_invalid("intake_rules", f"at most {_MOST_RULES} of each")
    if any(not rule.source_channel for rule in rules.utm_rules):
        raise field_invalid("intake_rules.utm_rules.source_channel", "a channel")
    for owner in rules.field_owners:
        if owner.field not in CONTACT_FIELDS:
            raise field_invalid(
                "intake_rules.field_owners.field", f"one of {', '.join(sorted(CONTACT_FIELDS))}"
            )
        if not owner.source_systems:
            raise field_invalid("intake_rules.field_owners.source_systems", "at least one")
