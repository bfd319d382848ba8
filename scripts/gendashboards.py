"""Write the dashboards of deploy/grafana; with `--check`, fail if what is committed is not what this makes.

The schema is that of Grafana 11.6, which grafana-foundation-sdk is pinned to.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DataSourceRef, VariableRefresh

FOLDER: Final = Path(__file__).parents[1] / "deploy" / "grafana" / "dashboards"
SOURCE: Final = DataSourceRef(type_val="prometheus", uid="smarketing-prometheus")
TENANT: Final = 'tenant="$tenant"'
EMPTY: Final = "Empty by design: "
"""What a panel's description begins with that shows nothing in health."""
_HEIGHT: Final = 8
_WIDTH: Final = 12


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A panel: what it is called, what it asks, and in which unit the answer is."""

    title: str
    says: str
    asks: Sequence[tuple[str, str]]
    """Query and legend."""
    unit: str = "short"
    is_number: bool = False
    """Whether the newest value is what counts, rather than its course."""
    empty: str = ""
    """Why it may show nothing though all is well."""


def one(metric: str, *by: str) -> str:
    """Return a query for what every replica shows alike."""
    return f"max by({', '.join(by)}) ({metric})"


def mine(metric: str, *conditions: str) -> str:
    """Return the tenant's series of a metric."""
    return f"{metric}{{{', '.join((TENANT, *conditions))}}}"


_SETTLED: Final = "smarketing_sla_clocks_settled_total"
_BY_TEAM: Final = ("commitment", "team", "outcome")


def _share(*by: str) -> str:
    missed = one(mine(_SETTLED, 'outcome="breached"'), "tenant", *_BY_TEAM)
    counted = one(mine(_SETTLED, 'outcome=~"met|breached"'), "tenant", *_BY_TEAM)
    group = f"sum by({', '.join(by)})"
    # Where none was met, or none missed, there is no series of it: the share is 0 or 1 all the same.
    return f"1 - ({group} ({missed}) or 0 * {group} ({counted})) / {group} ({counted})"


_LATER: Final = "a budget has a value once the minute is over in which its first clock was settled."

LEADERSHIP: Final = (
    Panel(
        title="Kept, of all that was ever due",
        says="Clocks are counted at their due instant, those that nobody touched included.",
        asks=[(_share("commitment"), "{{commitment}}")],
        unit="percentunit",
        is_number=True,
    ),
    Panel(
        title="Left of the error budget",
        says="At the pace so far; below zero more was missed than agreed.",
        asks=[
            (one(mine("smarketing_sla_budget_remaining_ratio"), "agreement", "commitment"), "{{commitment}}")
        ],
        unit="percentunit",
        empty=_LATER,
    ),
    Panel(
        title="Burn of the fast window",
        says="1 uses the budget up in just its window. Needs the rules that `smarketing sla rules` writes.",
        asks=[(mine("commitment:smarketing_sla_burn_rate:fast_long"), "{{commitment}}")],
        empty=_LATER,
    ),
    Panel(
        title="Budgets by state",
        says="As `sla` judges them.",
        asks=[(one(mine("smarketing_sla_budgets"), "state"), "{{state}}")],
        is_number=True,
    ),
    Panel(
        title="Due in the last hours, missed and kept",
        says="The fast window of each budget.",
        asks=[
            (
                one(mine("smarketing_sla_settled_in_window", 'window="fast_long"'), "commitment", "result"),
                "{{commitment}} {{result}}",
            )
        ],
    ),
    Panel(
        title="Time to first follow-up, 28 days",
        says="Half and nine tenths of all handoffs, those who still wait included.",
        asks=[
            (
                one(mine("smarketing_reports_speed_to_lead_seconds"), "quantile", "clock"),
                "{{quantile}} {{clock}}",
            )
        ],
        unit="s",
        empty="no quantile is known while fewer than half were followed up.",
    ),
    Panel(
        title="Still waiting for a first follow-up",
        says="Of the handoffs of 28 days.",
        asks=[(one(mine("smarketing_reports_speed_to_lead_at_risk"), "clock"), "{{clock}}")],
        is_number=True,
    ),
    Panel(
        title="Handoffs by state",
        says="All that ever were.",
        asks=[(one(mine("smarketing_leads_handoffs"), "state"), "{{state}}")],
    ),
    Panel(
        title="Figures and facts differ by",
        says="Must be 0; else no figure on this page is to be trusted.",
        asks=[(one("smarketing_reports_reconcile_mismatches", "check"), "{{check}}")],
        is_number=True,
    ),
    Panel(
        title="Age of the newest event in the figures",
        says="Grows while nothing happens.",
        asks=[
            (
                f"time() - {one('smarketing_reports_rollup_as_of_timestamp_seconds', 'log')}",
                "{{log}}",
            )
        ],
        unit="s",
        is_number=True,
    ),
)

SALES_FLOOR: Final = (
    Panel(
        title="First follow-ups overdue",
        says="Each owner was told by `sla`.",
        asks=[(one(mine("smarketing_sla_follow_ups_overdue"), "team"), "{{team}}")],
        empty="nothing is overdue.",
    ),
    Panel(
        title="Overdue for",
        says="The oldest of each team.",
        asks=[
            (
                (
                    "time() - min by(team) "
                    f"({mine('smarketing_sla_oldest_overdue_follow_up_timestamp_seconds')})"
                ),
                "{{team}}",
            )
        ],
        unit="s",
        is_number=True,
        empty="nothing is overdue.",
    ),
    Panel(
        title="Open clocks by where they stand",
        says="Warned: a step of the ladder was reached.",
        asks=[
            (
                f"sum by(state) ({one(mine('smarketing_sla_clocks_open'), 'commitment', 'team', 'state')})",
                "{{state}}",
            )
        ],
    ),
    Panel(
        title="Open clocks by promise and team",
        says="What is owed.",
        asks=[
            (
                (
                    "sum by(commitment, team) "
                    f"({one(mine('smarketing_sla_clocks_open'), 'commitment', 'team', 'state')})"
                ),
                "{{commitment}} {{team}}",
            )
        ],
    ),
    Panel(
        title="Oldest offer not answered",
        says="By the wall, nights included.",
        asks=[
            (
                f"time() - min({mine('smarketing_leads_oldest_offered_timestamp_seconds')})",
                "oldest",
            )
        ],
        unit="s",
        is_number=True,
        empty="no offer is open.",
    ),
    Panel(
        title="Oldest lead that nobody has",
        says="Must be empty, or short.",
        asks=[
            (
                f"time() - min({mine('smarketing_leads_oldest_unrouted_timestamp_seconds')})",
                "oldest",
            )
        ],
        unit="s",
        is_number=True,
        empty="everything is routed.",
    ),
    Panel(
        title="Leads in, by channel",
        says="Submitted in the last hour; Prometheus interpolates, so figures are not whole.",
        asks=[
            (
                (
                    "sum by(source_channel) "
                    f"(max by(source_channel) (increase({mine('smarketing_leads_submitted_total')}[1h])))"
                ),
                "{{source_channel}}",
            )
        ],
    ),
    Panel(
        title="How offers ended",
        says="Accepted, rejected, declined, expired, withdrawn; since the beginning.",
        asks=[(one(mine("smarketing_leads_offers_ended_total"), "outcome"), "{{outcome}}")],
    ),
    Panel(
        title="Follow-ups by channel and evidence",
        says="Since the beginning.",
        asks=[
            (
                f"topk(10, {one(mine('smarketing_leads_follow_ups_total'), 'channel', 'grade')})",
                "{{channel}} {{grade}}",
            )
        ],
    ),
    Panel(
        title="Kept, by team",
        says="Of all that was ever due.",
        asks=[(_share("team"), "{{team}}")],
        unit="percentunit",
        is_number=True,
    ),
)

_FAILED: Final = "UNKNOWN|INTERNAL|UNAVAILABLE|DATA_LOSS|DEADLINE_EXCEEDED"
OPERATORS: Final = (
    Panel(title="Up", says="1 where Prometheus gets an answer.", asks=[("up", "{{job}}")], is_number=True),
    Panel(
        title="Alerts that fire",
        says="Watchdog always does.",
        asks=[('count by(alertname, severity) (ALERTS{alertstate="firing"})', "{{alertname}} {{severity}}")],
    ),
    Panel(
        title="Calls a second",
        says="Ended, by service.",
        asks=[("sum by(job) (rate(grpc_server_handled_total[5m]))", "{{job}}")],
        unit="reqps",
    ),
    Panel(
        title="Calls that fail by our fault",
        says="The share of all; what callers did wrong is left out.",
        asks=[("job:smarketing_rpc_errors:ratio_rate5m", "{{job}}")],
        unit="percentunit",
        empty="no call has failed.",
    ),
    Panel(
        title="Slow calls",
        says="Ninety-nine of a hundred calls are faster than this.",
        asks=[
            (
                "histogram_quantile(0.99, sum by(job, le) (rate(grpc_server_handling_seconds_bucket[5m])))",
                "{{job}}",
            )
        ],
        unit="s",
    ),
    Panel(
        title="Lateness of the event loop",
        says="99 %.",
        asks=[
            (
                (
                    "histogram_quantile(0.99, "
                    "sum by(job, le) (rate(smarketing_server_loop_lag_seconds_bucket[5m])))"
                ),
                "{{job}}",
            )
        ],
        unit="s",
    ),
    Panel(
        title="Clocks due and not decided",
        says="Must be 0.",
        asks=[
            ("max(smarketing_sla_timers_overdue)", "overdue"),
            ("max(smarketing_sla_quarantined_clocks)", "put aside"),
        ],
        is_number=True,
    ),
    Panel(
        title="Events not yet read",
        says="By who reads which log.",
        asks=[("consumer:smarketing_eventlog_backlog:events", "{{consumer}}")],
    ),
    Panel(
        title="Turned away and denied",
        says="A second, by reason.",
        asks=[
            ("sum by(job, reason) (rate(smarketing_server_rejected_total[5m]))", "{{job}} {{reason}}"),
            ("sum by(job, reason) (rate(smarketing_server_auth_denied_total[5m]))", "{{job}} {{reason}}"),
        ],
    ),
    Panel(
        title="Writing transactions",
        says="99 %.",
        asks=[
            (
                (
                    "histogram_quantile(0.99, sum by(job, le) "
                    '(rate(smarketing_db_transaction_seconds_bucket{kind="write"}[5m])))'
                ),
                "{{job}}",
            )
        ],
        unit="s",
    ),
    Panel(
        title="Databases",
        says="Size of the file and of the log beside it.",
        asks=[
            ("smarketing_db_size_bytes", "{{job}}"),
            ("smarketing_db_wal_bytes", "{{job}} log"),
        ],
        unit="bytes",
    ),
    Panel(
        title="Room on the disk",
        says="By how much the files may still grow.",
        asks=[("smarketing_db_disk_free_bytes", "{{job}}")],
        unit="bytes",
        is_number=True,
    ),
    Panel(
        title="Webhooks that wait or were given up",
        says="By service.",
        asks=[
            (one("smarketing_webhook_pending", "job"), "{{job}} waiting"),
            (one("smarketing_webhook_dead_letters", "job"), "{{job}} given up"),
        ],
    ),
    Panel(
        title="Background tasks, last success",
        says="Seconds since each did its work.",
        asks=[
            (
                "time() - max by(job, task) (smarketing_server_task_last_success_timestamp_seconds)",
                "{{job}} {{task}}",
            )
        ],
        unit="s",
    ),
    Panel(
        title="What runs",
        says="Version and schema of each service.",
        asks=[("count by(job, version, schema) (smarketing_build_info)", "{{job}} {{version}} {{schema}}")],
        is_number=True,
    ),
    Panel(
        title="Calls that fail, by code",
        says="A second.",
        asks=[
            (
                f'sum by(job, grpc_code) (rate(grpc_server_handled_total{{grpc_code=~"{_FAILED}"}}[5m]))',
                "{{job}} {{grpc_code}}",
            )
        ],
        empty="no call has failed.",
    ),
)

DASHBOARDS: Final = {
    "leadership": ("SLA compliance", LEADERSHIP),
    "sales-floor": ("Sales floor", SALES_FLOOR),
    "operators": ("Operators", OPERATORS),
}


def _built(panel: Panel, number: int) -> stat.Panel | timeseries.Panel:
    newest = common.ReduceDataOptions().calcs(["lastNotNull"])
    builder = stat.Panel().reduce_options(newest) if panel.is_number else timeseries.Panel()
    builder.title(panel.title).id(number).unit(panel.unit).datasource(SOURCE).height(_HEIGHT).span(_WIDTH)
    builder.description(f"{panel.says} {EMPTY}{panel.empty}" if panel.empty else panel.says)
    for letter, (query, legend) in zip("ABCDEF", panel.asks, strict=False):
        asked = prometheus.Dataquery().expr(query).legend_format(legend).ref_id(letter)
        builder.with_target(asked.instant() if panel.is_number else asked.range())
    return builder


def _dashboard(name: str, title: str, panels: Sequence[Panel]) -> str:
    builder = (
        dashboard.Dashboard(f"smarketing: {title}")
        .uid(f"smarketing-{name}")
        .tags(["smarketing"])
        .readonly()
        .refresh("1m")
        .time("now-24h", "now")
        .timezone("browser")
    )
    if any("$tenant" in query for panel in panels for query, _ in panel.asks):
        builder.with_variable(
            dashboard.QueryVariable("tenant")
            .label("Tenant")
            .datasource(SOURCE)
            .query("label_values(smarketing_leads_handoffs, tenant)")
            .refresh(VariableRefresh.ON_DASHBOARD_LOAD)
        )
    for number, panel in enumerate(panels, start=1):
        builder.with_panel(_built(panel, number))
    return JSONEncoder(sort_keys=True, indent=2).encode(builder.build()) + "\n"


def made() -> dict[Path, str]:
    """Return every dashboard's file and text."""
    return {
        FOLDER / f"{name}.json": _dashboard(name, title, panels)
        for name, (title, panels) in DASHBOARDS.items()
    }


def main(arguments: Sequence[str]) -> int:
    """Write the files, or compare them."""
    stale = [path for path, text in made().items() if not path.exists() or path.read_text() != text]
    if "--check" in arguments:
        for path in stale:
            print(f"{path} is not what scripts/gendashboards.py makes")
        return 1 if stale else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path, text in made().items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
