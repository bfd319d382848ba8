"""Takes the events of both logs, from their beginnings, into a rebuild of the read model."""

from collections.abc import Sequence
from typing import Any

from services.reports.consumers import lead_events, sla_events
from services.reports.consumers.lead_events import progress, progress_of_tenants
from services.reports.store.fold import Folded, FoldedTenant, ReadModel
from services.reports.store.marketing_quotas import MarketingQuotas
from services.reports.store.rebuild import Rebuild
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb

__all__ = ["LogRebuild"]


class LogRebuild:
    """One rebuild, by events; how far each log is folded in is noted when all is written."""

    def __init__(self, model: ReadModel, quotas: MarketingQuotas, rebuild: Rebuild | None = None) -> None:
        self._model = model
        self._quotas = quotas
        self._rebuild = Rebuild(model) if rebuild is None else rebuild
        self._folded: dict[str, Folded] = {}
        self._tenants: dict[tuple[str, str], FoldedTenant] = {}

    def begin(self, connection: Any) -> None:
        """Empty the read model."""
        self._rebuild.begin(connection)

    def take_leads(self, connection: Any, events: Sequence[eventlogpb.Event]) -> None:
        """Take contiguous events of the leads log."""
        self._rebuild.take_leads(connection, lead_events.words_of(events))
        self._note("leads", events)

    def take_sla(self, connection: Any, events: Sequence[eventlogpb.Event]) -> None:
        """Take contiguous events of the sla log."""
        self._rebuild.take_sla(connection, sla_events.words_of(events))
        self._quotas.fold(connection, sla_events.quotas_of(events))
        self._note("sla", events)

    def finish(self, connection: Any) -> None:
        """Write all that is left: the read model is then the one that the consumers would have made."""
        self._rebuild.finish(connection)
        tenants = list(self._tenants.values())
        for service, folded in self._folded.items():
            self._model.note_progress(
                connection, folded, [each for each in tenants if each.service == service]
            )

    def _note(self, service: str, events: Sequence[eventlogpb.Event]) -> None:
        self._folded[service] = progress(service, events[-1])
        for each in progress_of_tenants(service, events):
            self._tenants[service, each.tenant] = each
