# ruff: noqa: N802, ARG002 -- the contract chooses the names, gRPC the arguments
"""PlaybookService: parse, ask, render."""

from functools import partial
from typing import Any

import grpc.aio

from services.leads.domain.errors import TenantUnknown
from services.leads.rpc.asking import by_caller
from services.leads.store.directory import DirectoryStore
from services.leads.store.leads import LeadStore
from services.leads.store.working import find_playbook
from services.leads.usecases.playbook import ApplyPlaybook, apply_playbooks
from services.leads.wire.playbook import playbook_message, playbook_of
from smarketing import names
from smarketing.api.leads.v1 import playbook_pb2 as playbookpb
from smarketing.api.leads.v1.playbook_pb2_grpc import PlaybookServiceServicer
from smarketing.server.commands import Command, answer, call_for

__all__ = ["PlaybookServicer"]

_Context = grpc.aio.ServicerContext[Any, Any]


class PlaybookServicer(PlaybookServiceServicer):
    """Shows and takes playbooks."""

    def __init__(self, store: LeadStore, directories: DirectoryStore) -> None:
        self._store = store
        self._directories = directories

    async def GetPlaybook(
        self, request: playbookpb.GetPlaybookRequest, context: _Context
    ) -> playbookpb.Playbook:
        """Return the tenant's playbook."""
        (tenant,) = names.PLAYBOOK.parse(request.name)
        if await self._directories.find(f"tenants/{tenant}") is None:
            raise TenantUnknown(f"tenants/{tenant}")
        return playbook_message(tenant, await self._store.read(find_playbook(tenant)))

    async def ApplyPlaybook(
        self, request: playbookpb.ApplyPlaybookRequest, context: _Context
    ) -> playbookpb.Playbook:
        """Make this the tenant's playbook."""
        (tenant,) = names.TENANT.parse(request.parent, field="parent")
        wanted = ApplyPlaybook(
            tenant=tenant,
            wanted=playbook_of(request.playbook, version=0),
            etag=request.playbook.etag,
            by=by_caller(),
        )
        outcome = await self._store.command(
            apply_playbooks, Command(wanted, call_for(request)), render=partial(playbook_message, tenant)
        )
        return answer(outcome, playbookpb.Playbook)
