"""`smarketing tenants list | show | create | set-quota`: an installation's customers."""

from typing import Annotated

import typer
from rich.console import RenderableType

from smarketing.api.leads.v1 import tenancy_pb2 as tenancypb
from smarketing.cli.leads import taken
from smarketing.cli.options import Limit
from smarketing.cli.output import record, table
from smarketing.cli.session import session_of
from smarketing.client import LeadsClient

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True)

_ANY = "tenants/-"

Tenant = Annotated[str, typer.Argument(metavar="TENANT", help="The tenant's id; the caller's when none.")]


@app.command("list")
def list_(ctx: typer.Context, limit: Limit = 50) -> None:
    """List the tenants by name."""
    session = session_of(ctx)
    request = tenancypb.ListTenantsRequest(parent=_ANY, page_size=min(limit, 1_000))
    found, more = session.ask(LeadsClient, lambda leads: taken(leads.tenants.tenants(request), limit))
    rows = [
        (_id(each), each.time_zone, each.region_code, each.currency_code, *_quota(each.quota))
        for each in found
    ]
    columns = ("tenant", "time zone", "country", "currency", "calls a second", "leads a day", "streams")
    session.show_list("tenants", found, lambda: table(columns, rows), more=more)


@app.command()
def show(ctx: typer.Context, tenant: Tenant = "") -> None:
    """Show a tenant and how much it may use."""
    session = session_of(ctx)
    request = tenancypb.GetTenantRequest(name=f"tenants/{tenant}" if tenant else session.parent)
    found = session.ask(LeadsClient, lambda leads: leads.tenants.get_tenant(request))
    session.show(found, lambda: _view(found))


@app.command()
def create(
    ctx: typer.Context,
    *,
    tenant: Annotated[str, typer.Argument(metavar="TENANT", help="Its id: acme.")],
    time_zone: Annotated[str, typer.Option(help="IANA zone of its days: Asia/Seoul.")],
    currency: Annotated[str, typer.Option(help="ISO code in which it reports: KRW.")],
    country: Annotated[str, typer.Option(help="ISO code of its country: KR.")] = "",
) -> None:
    """Make a tenant with both departments, one queue and nobody; `apply --defaults` does the rest."""
    session = session_of(ctx)
    wanted = tenancypb.Tenant(time_zone=time_zone, currency_code=currency, region_code=country)
    request = tenancypb.CreateTenantRequest(parent=_ANY, tenant_id=tenant, tenant=wanted)
    made = session.ask(LeadsClient, lambda leads: leads.tenants.create_tenant(request))
    session.show(made, lambda: _view(made))


@app.command("set-quota")
def set_quota(
    ctx: typer.Context,
    *,
    tenant: Annotated[str, typer.Argument(metavar="TENANT", help="The tenant's id.")],
    calls_per_second: Annotated[
        int | None, typer.Option(min=0, help="Calls a second; 0: what everybody has.")
    ] = None,
    leads_per_day: Annotated[int | None, typer.Option(min=0, help="New leads a day; 0: no limit.")] = None,
    streams: Annotated[int | None, typer.Option(min=0, help="Open streams; 0: no bound of its own.")] = None,
) -> None:
    """Change how much a tenant may use, at once; what is not given stays."""
    given = {"calls_per_second": calls_per_second, "leads_per_day": leads_per_day, "streams": streams}
    changes = {name: number for name, number in given.items() if number is not None}
    if not changes:
        raise typer.BadParameter("give --calls-per-second, --leads-per-day or --streams")
    session = session_of(ctx)
    name = f"tenants/{tenant}"

    async def changed(leads: LeadsClient) -> tenancypb.Tenant:
        present = await leads.tenants.get_tenant(tenancypb.GetTenantRequest(name=name))
        quota = tenancypb.TenantQuota(**changes)
        kept = {field: getattr(present.quota, field) for field in given if field not in changes}
        quota.MergeFrom(tenancypb.TenantQuota(**kept))
        return await leads.tenants.update_tenant_quota(
            tenancypb.UpdateTenantQuotaRequest(name=name, quota=quota)
        )

    after = session.ask(LeadsClient, changed)
    session.show(after, lambda: _view(after))


def _id(tenant: tenancypb.Tenant) -> str:
    return tenant.name.removeprefix("tenants/")


def _quota(quota: tenancypb.TenantQuota) -> tuple[str, str, str]:
    return (
        str(quota.calls_per_second or "as everybody"),
        str(quota.leads_per_day or "no limit"),
        str(quota.streams or "as everybody"),
    )


def _view(tenant: tenancypb.Tenant) -> RenderableType:
    calls, leads, streams = _quota(tenant.quota)
    return record(
        [
            ("tenant", _id(tenant)),
            ("time zone", tenant.time_zone),
            ("country", tenant.region_code),
            ("currency", tenant.currency_code),
            ("calls a second", calls),
            ("new leads a day", leads),
            ("open streams", streams),
        ]
    )
