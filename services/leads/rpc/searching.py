# ruff: noqa: N802, ARG002 -- the contract chooses the names, gRPC the arguments
"""FindLeads: who has this address, this number, or this id of a sender."""

from typing import Any

import grpc.aio

from services.leads.domain.errors import FieldInvalid, TenantUnknown
from services.leads.rpc.sight import Sight, lead_message
from services.leads.store import lookups
from services.leads.store.directory import DirectoryStore
from services.leads.store.leads import LeadStore
from services.leads.store.lookups import LeadQuery
from services.leads.store.sealing import Sealer
from services.leads.usecases.identity import spelled_mailbox, spelled_phone
from smarketing import names
from smarketing.api.leads.v1 import search_pb2 as searchpb
from smarketing.api.leads.v1.search_pb2_grpc import LeadSearchServiceServicer
from smarketing.server.paging import PageTokens, page_size_of

_Context = grpc.aio.ServicerContext[Any, Any]


class Searching(LeadSearchServiceServicer):
    """Finds leads by digests of what is asked for, which is kept and logged nowhere."""

    def __init__(
        self,
        store: LeadStore,
        *,
        directories: DirectoryStore,
        sealer: Sealer,
        pages: PageTokens,
    ) -> None:
        self._store = store
        self._directories = directories
        self._sealer = sealer
        self._pages = pages
        self._sight = Sight(store, directories)

    async def FindLeads(
        self, request: searchpb.FindLeadsRequest, context: _Context
    ) -> searchpb.FindLeadsResponse:
        """Return the leads meant, as far as the caller may see them."""
        (tenant,) = names.TENANT.parse(request.parent, field="parent")
        size, key = page_size_of(request), self._pages.read(request)
        behind = "" if key is None else str(key[0])
        meant = await self._store.read(await self._meant(tenant, request))
        seen = await self._sight.seen(tenant, [lead for lead in meant if lead > behind])
        shown = seen[:size]
        leads = await self._store.read(lookups.find_leads(self._sealer, tenant, shown))
        return searchpb.FindLeadsResponse(
            leads=[lead_message(each) for each in leads],
            next_page_token=self._pages.issue(request, [shown[-1]]) if len(seen) > size else "",
        )

    async def _meant(self, tenant: str, request: searchpb.FindLeadsRequest) -> LeadQuery:
        if [bool(request.email), bool(request.phone), bool(request.external_id)].count(True) != 1:
            raise FieldInvalid("email", "one of `email`, `phone` and `external_id`, and one alone")
        if request.external_id:
            if not request.source_system:
                raise FieldInvalid("source_system", "the sender whose external_id this is")
            digest = self._sealer.external_digest(tenant, request.source_system, request.external_id)
            return lookups.leads_of_submission(tenant, request.source_system, digest)
        if request.email:
            kind, value = "email", spelled_mailbox(request.email.strip())
        else:
            kind, value = "phone", spelled_phone(request.phone.strip(), await self._region(tenant))
        if not value:
            # What it was is not repeated: it may be nearly somebody's.
            raise FieldInvalid(kind, _EXPECTED[kind])
        return lookups.leads_of_digest(tenant, self._sealer.match_digest(tenant, kind, value))

    async def _region(self, tenant: str) -> str:
        directory = await self._directories.find(f"tenants/{tenant}")
        if directory is None:
            raise TenantUnknown(f"tenants/{tenant}")
        return directory.settings.region_code


_EXPECTED = {
    "email": "an e-mail address such as `name@example.com`",
    "phone": "a phone number, with country code where it is foreign",
}
