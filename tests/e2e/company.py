"""A small company set up as people do it: files under version control, and each party's own word."""

from dataclasses import dataclass, field
from pathlib import Path

from smarketing.api.leads.v1 import directory_pb2 as directorypb
from smarketing.api.reports.v1 import reports_pb2 as reportspb
from smarketing.api.sla.v1 import sla_pb2 as slapb
from smarketing.client import ClientSettings, DeniedError, LeadsClient, ReportsClient, SlaClient
from tests.builders.processes import Installation, until

__all__ = ["Company", "settled_in"]

_DIRECTORY = """
kind: Directory
time_zone: {zone}
currency_code: {currency}
teams:
  - {{id: marketing, display_name: Marketing, party: marketing, manager: mara}}
  - {{id: sales, display_name: Sales, party: sales, manager: sven}}
people:
  - {{id: mara, display_name: Mara Lind, roles: [marketing_manager], team: marketing}}
  - {{id: sven, display_name: Sven Holt, roles: [sales_manager], team: sales}}
  - {{id: rosa, display_name: Rosa Diaz, roles: [sales_rep], team: sales}}
systems:
  - {{id: website, display_name: Website, roles: [marketing_specialist]}}
  - {{id: crm, display_name: Deals, roles: [sales_rep], teams: [sales]}}
queues:
  - {{id: inbound, display_name: Inbound, team: sales, manager: sven}}
routing:
  fallback_queue: inbound
  offer_duration: 1h
  rules:
    - {{id: everybody, members: [rosa]}}
"""

_CALENDAR = """
kind: Calendar
id: always
title: Night and day
time_zone: UTC
week: {monday: [00:00-24:00], tuesday: [00:00-24:00], wednesday: [00:00-24:00], thursday: [00:00-24:00],
  friday: [00:00-24:00], saturday: [00:00-24:00], sunday: [00:00-24:00]}
"""

_AGREEMENT = """
kind: Agreement
id: handover
title: Handover
mode: enforce
calendar: always
commitments:
  - {id: freshness, title: Fresh, parties: [marketing], kind: freshness, basis: wall, objective: 90%,
     tiers: [{target: 1h}]}
  - {id: route, title: Routed, parties: [system], kind: route, basis: wall, objective: 99%,
     tiers: [{target: 1m}]}
  - {id: accept, title: Answered, parties: [sales], kind: accept, basis: business, objective: 90%,
     tiers: [{match: {segments: [hasty]}, target: 5s}, {target: 1h}],
     rungs: [{id: due, at: due, tell: [owner]}]}
  - {id: first-follow-up, title: Followed up, parties: [sales], kind: first_follow_up, basis: business,
     objective: 90%, tiers: [{match: {segments: [hasty]}, target: 5s}, {target: 1h}],
     rungs: [{id: due, at: due, tell: [owner, manager]}]}
"""

_PRINCIPALS = ("people/sven", "people/rosa", "systems/website", "systems/crm", "people/mara")


@dataclass
class Company:
    """A tenant whose people and systems can call."""

    installation: Installation
    tenant: str
    tokens: dict[str, str] = field(default_factory=dict)
    """By id: the managers `mara` and `sven`, the rep `rosa`, the systems `website` and `crm`."""

    @property
    def name(self) -> str:
        """Its resource name."""
        return f"tenants/{self.tenant}"

    def of(self, who: str) -> ClientSettings:
        """Return what a client needs to call as one of them."""
        return self.installation.settings(self.tokens[who], tenant=self.tenant)

    @property
    def operator(self) -> ClientSettings:
        """What a client needs to call as the operator."""
        return self.installation.settings(self.installation.operator, tenant=self.tenant)


async def settled_in(
    installation: Installation,
    tenant: str,
    folder: Path,
    *,
    zone: str = "UTC",
    currency: str = "EUR",
) -> Company:
    """Apply directory, calendar and agreement to a tenant; marketing proposes, sales accepts."""
    files = {
        "directory": _DIRECTORY.format(zone=zone, currency=currency),
        "calendar": _CALENDAR,
        "agreement": _AGREEMENT,
    }
    paths = {name: folder / f"{name}.yaml" for name in files}
    for name, text in files.items():
        paths[name].write_text(text)
    company = Company(installation, tenant)

    async def run(who: str, *arguments: str | Path) -> None:
        token = company.tokens.get(who) or installation.operator
        ran = await installation.smarketing(*arguments, token=token, tenant=tenant)
        assert ran.status == 0, ran.err + ran.out

    await run("operator", "apply", paths["directory"], "--yes")
    async with LeadsClient(company.operator) as leads:
        for principal in _PRINCIPALS:
            request = directorypb.IssueTokenRequest(parent=f"{company.name}/{principal}")
            issued = await leads.directory.issue_token(request)
            company.tokens[principal.rpartition("/")[2]] = issued.bearer
    await _known_everywhere(company)
    await run("mara", "apply", paths["calendar"], paths["agreement"], "--yes")
    await run("sven", "sla", "accept", "handover/versions/1")
    await run("sven", "sla", "activate", "handover/versions/1")
    return company


async def _known_everywhere(company: Company) -> None:
    """Return once the other services have heard of the token that was made last, and so of all."""

    async def is_known() -> bool:
        async with SlaClient(company.of("mara")) as sla, ReportsClient(company.of("mara")) as reports:
            try:
                await sla.list_clocks(slapb.ListClocksRequest(parent=company.name))
                await reports.list_kpis(reportspb.ListKpisRequest(parent=company.name))
            except DeniedError:
                return False
        return True

    await until(is_known, bool)
