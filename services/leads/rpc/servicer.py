"""LeadServicer: parse, run the use case or query, render."""

from prometheus_client import CollectorRegistry, Counter

from services.leads.rpc.assignees import Assignees
from services.leads.rpc.batch_room import BatchRoom
from services.leads.rpc.intake import Intake
from services.leads.rpc.listing import Listing
from services.leads.rpc.reading import Reading
from services.leads.rpc.sight import Sight
from services.leads.rpc.watching import Watching
from services.leads.rpc.working import Working
from services.leads.store.directory import DirectoryStore
from services.leads.store.leads import LeadStore
from services.leads.store.sealing import Sealer
from smarketing.api.leads.v1.leads_pb2_grpc import LeadServiceServicer
from smarketing.server.draining import Draining
from smarketing.server.paging import PageTokens

__all__ = ["LeadServicer"]


class LeadServicer(Intake, Working, Reading, Listing, Watching, LeadServiceServicer):
    """The whole LeadService, a part in each module of this package."""

    def __init__(
        self,
        store: LeadStore,
        *,
        directories: DirectoryStore,
        sealer: Sealer,
        pages: PageTokens,
        draining: Draining,
        registry: CollectorRegistry,
        room: BatchRoom,
        heartbeat_seconds: float = 10.0,
    ) -> None:
        assignees = Assignees(directories)
        submissions = Counter(
            "smarketing_leads_submissions_total",
            "Submissions by what became of them",
            ["outcome"],
            registry=registry,
        )
        conflicts = Counter(
            "smarketing_leads_conflicts_total", "Calls that came too late", ["kind"], registry=registry
        )
        Intake.__init__(self, store, submissions, room)
        Working.__init__(self, store, conflicts)
        Reading.__init__(self, store, sealer, pages, Sight(store, directories))
        Listing.__init__(self, store, sealer, pages, assignees)
        Watching.__init__(
            self, store, sealer, pages, assignees, draining, heartbeat_seconds=heartbeat_seconds
        )
