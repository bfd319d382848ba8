"""For every alert: series on which it fires and does not; time begins at 0 and goes in steps of a minute."""

from typing import Final

from tests.contract.monitoring.promtool import Case, a_series

__all__ = ["CASES"]

_FOREVER: Final = "0x40"
"""An instant at the beginning of time: thirty minutes ago when the alerts are looked at."""
_FRESH: Final = "0+60x40"
"""An instant that is always now."""


def _team(name: str, team: str = "north") -> str:
    return a_series(f"smarketing_sla_{name}", job="sla", tenant="default", team=team)


def _leads(name: str, **labels: str) -> str:
    return a_series(f"smarketing_leads_{name}", job="leads", **labels)


def _sla(name: str, **labels: str) -> str:
    return a_series(f"smarketing_sla_{name}", job="sla", **labels)


def _task(task: str, job: str = "sla") -> str:
    return a_series("smarketing_server_task_last_success_timestamp_seconds", job=job, task=task)


def _lateness(on_time: str, every: str) -> dict[str, str]:
    name = "timer_lateness_seconds"
    return {
        _sla(f"{name}_bucket", kind="breach", le="5.0"): on_time,
        _sla(f"{name}_count", kind="breach"): every,
    }


def _calls(good: str, failed: str, *, code: str = "UNAVAILABLE") -> dict[str, str]:
    called = {"grpc_service": "L", "grpc_method": "SubmitLead"}
    return {
        a_series("grpc_server_handled_total", job="leads", grpc_code="OK", **called): good,
        a_series("grpc_server_handled_total", job="leads", grpc_code=code, **called): failed,
    }


def _speed(fast: str, every: str, method: str = "SubmitLead") -> dict[str, str]:
    called = {"grpc_service": "L", "grpc_method": method}
    return {
        a_series("grpc_server_handling_seconds_bucket", job="leads", le="0.25", **called): fast,
        a_series("grpc_server_handling_seconds_count", job="leads", **called): every,
    }


def _carried(head: str, relay: str) -> dict[str, str]:
    series = {
        a_series("smarketing_eventlog_head_position", job="leads", log="leads"): head,
        a_series("smarketing_eventlog_relay_position", job="leads", log="leads"): relay,
    }
    return {name: values for name, values in series.items() if values}


def _log(head: str, position: str, progress: str = _FRESH) -> dict[str, str]:
    reader = {"consumer": "reports.leads", "log": "leads"}
    return {
        a_series("smarketing_eventlog_head_position", job="leads", log="leads"): head,
        a_series("smarketing_eventlog_consumer_position", job="reports", **reader): position,
        a_series(
            "smarketing_eventlog_consumer_progress_timestamp_seconds", job="reports", **reader
        ): progress,
    }


def _folded(head: str, position: str, as_of: str) -> dict[str, str]:
    return {
        a_series("smarketing_eventlog_head_position", job="leads", log="leads"): head,
        a_series("smarketing_reports_rollup_position", job="reports", log="leads"): position,
        a_series("smarketing_reports_rollup_as_of_timestamp_seconds", job="reports", log="leads"): as_of,
    }


def _reconciled(mismatches: str, success: str) -> dict[str, str]:
    return {
        a_series("smarketing_reports_reconcile_mismatches", job="reports", check="totals"): mismatches,
        a_series("smarketing_reports_reconcile_success_timestamp_seconds", job="reports"): success,
    }


def _overdue(count: str, oldest: str) -> dict[str, str]:
    return {
        _team("follow_ups_overdue"): count,
        _team("oldest_overdue_follow_up_timestamp_seconds"): oldest,
    }


def _waiting(overdue: str, in_time: str) -> dict[str, str]:
    of = {"tenant": "default", "commitment": "first-follow-up", "team": "north"}
    return {
        _sla("clocks_open", state="overdue", **of): overdue,
        _sla("clocks_open", state="in_time", **of): in_time,
    }


def _offers(oldest: str, overdue: str) -> dict[str, str]:
    of = {"tenant": "default", "commitment": "accept", "team": "north", "state": "overdue"}
    return {
        _leads("oldest_offered_timestamp_seconds", tenant="default"): oldest,
        _sla("clocks_open", **of): overdue,
    }


def _timers(count: str, oldest: str) -> dict[str, str]:
    return {_sla("timers_overdue"): count, _sla("oldest_overdue_timer_timestamp_seconds"): oldest}


def _burning(pair: str, *, long: tuple[int, int], short: tuple[int, int], verdict: int = 0) -> dict[str, str]:
    """Good and bad clocks of both windows, and what `sla` says of them."""
    of = {"tenant": "default", "agreement": "handover", "commitment": "accept"}
    found = {_sla("budget_alerts", alert=pair, **of): f"{verdict}x40"}
    for length, counts in (("long", long), ("short", short)):
        for result, count in zip(("good", "bad"), counts, strict=True):
            name = _sla("settled_in_window", window=f"{pair}_{length}", result=result, **of)
            found[name] = f"{count}x40"
    return found


def _exhausted(values: str) -> dict[str, str]:
    of = {"tenant": "default", "agreement": "handover", "commitment": "accept", "alert": "exhausted"}
    return {_sla("budget_alerts", **of): values}


def _webhooks(oldest: str = _FRESH, dead: str = "0x40", disabled: str = "0x40") -> dict[str, str]:
    return {
        a_series("smarketing_webhook_oldest_pending_timestamp_seconds", job="sla"): oldest,
        a_series("smarketing_webhook_dead_letters", job="sla"): dead,
        a_series("smarketing_webhook_endpoints_disabled", job="sla"): disabled,
    }


def _erasures(pending: str, oldest: str) -> dict[str, str]:
    return {_leads("erasures_pending"): pending, _leads("oldest_erasure_request_timestamp_seconds"): oldest}


def _unaccounted(unowned: str, unconserved: str) -> dict[str, str]:
    return {_leads("unowned_handoffs"): unowned, _leads("unconserved_handoffs"): unconserved}


def _always_there(**instead: str) -> dict[str, str]:
    present = {
        "leads_handoffs": _leads("handoffs", tenant="default", state="offered"),
        "unowned": _leads("unowned_handoffs"),
        "timers": _sla("timers_overdue"),
        "quarantined": _sla("quarantined_clocks"),
        "rollup": a_series("smarketing_reports_rollup_position", job="reports", log="leads"),
        "mismatches": a_series("smarketing_reports_reconcile_mismatches", job="reports", check="totals"),
        "leads_head": a_series("smarketing_eventlog_head_position", job="leads", log="leads"),
        "sla_head": a_series("smarketing_eventlog_head_position", job="sla", log="sla"),
    }
    return {name: instead.get(key, "0x40") for key, name in present.items()}


def _saturated(rejected: str, started: str, queue: str = "0x40") -> dict[str, str]:
    return {
        a_series("smarketing_server_rejected_total", job="leads", reason="concurrency"): rejected,
        a_series(
            "grpc_server_started_total", job="leads", grpc_service="L", grpc_method="SubmitLead"
        ): started,
        a_series("smarketing_db_writer_queue_depth", job="leads"): queue,
    }


_REUSED: Final = a_series("smarketing_server_keys_reused_total", job="leads")
_DENIED: Final = a_series("smarketing_server_auth_denied_total", job="leads", reason="CREDENTIALS_INVALID")
_SUBMITTED: Final = _leads("submitted_total", tenant="default", source_channel="WEB_FORM".lower())
_REGRESSED: Final = a_series(
    "smarketing_eventlog_log_regressed_total", job="reports", consumer="reports.leads", log="leads"
)
_REFUSED: Final = a_series(
    "smarketing_eventlog_bus_refused_total",
    job="reports",
    consumer="reports.leads",
    log="leads",
    reason="mismatch",
)
_GAPS: Final = a_series(
    "smarketing_eventlog_consumer_gaps_total", job="reports", consumer="reports.leads", log="leads"
)
_DELAY: Final = "smarketing_eventlog_apply_delay_seconds_bucket"
_FREE: Final = a_series("smarketing_db_disk_free_bytes", job="leads")
_WAL: Final = a_series("smarketing_db_wal_bytes", job="leads")
_STEPS: Final = _sla("clock_steps_back_total")
_QUARANTINED: Final = _sla("quarantined_clocks")
_UNROUTED: Final = _leads("oldest_unrouted_timestamp_seconds", tenant="default")
_UP: Final = a_series("up", job="leads")
_SAMPLES: Final = a_series("scrape_samples_scraped", job="leads")
_MEBI, _GIBI = 1024**2, 1024**3


def _delays(within: str, every: str) -> dict[str, str]:
    reader = {"consumer": "reports.leads"}
    return {
        a_series(_DELAY, job="reports", le="15.0", **reader): within,
        a_series(_DELAY, job="reports", le="60.0", **reader): every,
        a_series(_DELAY, job="reports", le="+Inf", **reader): every,
    }


CASES: Final[dict[str, Case]] = {
    "LeadFollowUpsOverdue": Case(
        fires=_overdue("3x40", _FOREVER),
        # Overdue, but for less than a quarter of an hour.
        silent=_overdue("3x40", "1000x40"),
        restart=(_overdue("3x20 _x3 3x20", "0x20 _x3 0x20"), 1),
    ),
    "LeadFollowUpBacklog": Case(
        fires=_overdue("10x40", _FRESH),
        silent=_overdue("9x40", _FRESH) | _waiting("1x40", "5x40"),
        restart=(_overdue("10x15 _x2 10x25", _FRESH), 1),
        # A fifth of five; a fifth of four, which are too few to say; and just less than a fifth.
        more=((_waiting("1x40", "4x40"), 1), (_waiting("1x40", "3x40"), 0), (_waiting("19x40", "81x40"), 0)),
    ),
    "LeadsUnrouted": Case(
        fires={_UNROUTED: _FOREVER},
        silent={_UNROUTED: "1300x40"},
        restart=({_UNROUTED: "0x20 _x3 0x20"}, 1),
    ),
    "LeadOffersIgnored": Case(
        # Two hours are promised, so that four are too long.
        fires=_offers("0x400", "1x400"),
        # As old by the wall, and not overdue: it was night.
        silent=_offers("0x400", "0x400"),
        restart=(_offers("0x200 _x3 0x200", "1x200 _x3 1x200"), 1),
        more=((_offers("1000x400", "1x400"), 0),),
        at="250m",
    ),
    "LeadInflowStopped": Case(
        fires={_SUBMITTED: "0+1x672 672x8"},
        silent={_SUBMITTED: "0+1x680"},
        # Read from the database, the total goes on where it was.
        restart=({_SUBMITTED: "0+1x674 _x1 676+1x6"}, 0),
        # Nobody submits at this hour in other weeks either.
        more=(({_SUBMITTED: "5x690"}, 0),),
        step="1h",
        looked="2h",
        at="678h",
    ),
    "SLABudgetBurnFast": Case(
        # Two times a tenth is a fifth: 6 of 30.
        fires=_burning("fast", long=(24, 6), short=(4, 1)),
        silent=_burning("fast", long=(25, 5), short=(4, 1)),
        restart=(
            {
                name: f"{values[:-3]}x12 _x3 {values[:-3]}x25"
                for name, values in _burning("fast", long=(24, 6), short=(4, 1)).items()
            },
            1,
        ),
        more=(
            # It stopped burning: the short window is clean.
            (_burning("fast", long=(24, 6), short=(5, 0)), 0),
            # Of few clocks the exact verdict decides, whatever the ratio.
            (_burning("fast", long=(5, 5), short=(0, 5), verdict=1), 1),
            (_burning("fast", long=(5, 5), short=(0, 5)), 0),
            # With thirty the ratio decides.
            (_burning("fast", long=(30, 0), short=(5, 0), verdict=1), 0),
        ),
    ),
    "SLABudgetBurnSlow": Case(
        fires=_burning("slow", long=(27, 3), short=(9, 1)),
        silent=_burning("slow", long=(28, 3), short=(9, 1)),
        restart=(_burning("slow", long=(27, 3), short=(9, 1)), 1),
        more=(
            (_burning("slow", long=(27, 3), short=(10, 0)), 0),
            (_burning("slow", long=(1, 4), short=(0, 4), verdict=1), 1),
        ),
    ),
    "SLABudgetExhausted": Case(
        fires=_exhausted("1x40"), silent=_exhausted("0x40"), restart=(_exhausted("1x15 _x2 1x20"), 1)
    ),
    "SLATimersLate": Case(
        fires=_timers("2x40", _FOREVER),
        silent=_timers("2x40", "-30+60x40"),
        restart=(_timers("2x15 _x2 2x20", "0x15 _x2 0x20"), 1),
    ),
    "SLASweepStalled": Case(
        fires={_task("sla_sweep"): "0+60x10 600x30"},
        silent={_task("sla_sweep"): _FRESH},
        # Of three replicas one sweeps: that is enough.
        restart=({_task("sla_sweep"): "0+60x10 _x4 900+60x30"}, 0),
        without=1,
    ),
    "SLAClocksQuarantined": Case(
        fires={_QUARANTINED: "1x40"},
        silent={_QUARANTINED: "0x40"},
        restart=({_QUARANTINED: "1x15 _x2 1x20"}, 1),
    ),
    "SLATimerLatenessSLO": Case(
        fires=_lateness("0+95x900", "0+100x900"),
        firing=4,
        silent=_lateness("0+9999x900", "0+10000x900"),
        # The counters begin again at nothing, and all of them were in time before and after.
        restart=(_lateness("0+100x450 0+100x450", "0+100x450 0+100x450"), 0),
        # One in a hundred uses the budget of six hours and of days, not that of one hour.
        more=((_lateness("0+99x900", "0+100x900"), 3), (_lateness("0x900", "0x900"), 0)),
        step="5m",
        looked="4h",
        at="72h",
        replicas_are_equal=False,
    ),
    "ClockSteppedBack": Case(
        fires={_STEPS: "0x25 1x15"},
        silent={_STEPS: "1x40"},
        restart=({_STEPS: "1x15 0x25"}, 0),
        replicas_are_equal=False,
    ),
    "ConsumerStuck": Case(
        fires=_log("9x40", "5x40", _FOREVER),
        # Nothing happens, and it is at the end.
        silent=_log("9x40", "9x40", _FOREVER),
        restart=(_log("9x20 _x3 9x20", "5x20 _x3 5x20", "0x20 _x3 0x20"), 1),
        more=(
            # It reads, and has much to read.
            (_log("0+9x40", "0+5x40"), 0),
            # It has never read anything, so that no progress is known.
            ({name: v for name, v in _log("9x40", "0x40").items() if "progress" not in name}, 1),
        ),
    ),
    "ConsumerLagging": Case(
        fires=_delays("0+9x40", "0+10x40"),
        silent=_delays("0+10x40", "0+10x40"),
        restart=(_delays("0+10x15 0+10x25", "0+10x15 0+10x25"), 0),
    ),
    "EventLogRegressed": Case(
        # The log was restored to an older state, and its reader stands beyond its end.
        fires=_log("9x20 4x20", "9x40"),
        silent=_log("0+1x40", "0+1x40"),
        restart=(_log("9x20 _x3 9x20", "9x40"), 0),
        # The reader noticed; and a reader that was looked at later than the log is no fault.
        more=(({_REGRESSED: "0x20 1x20"}, 1), (_log("0+9x40", "9+9x40"), 0)),
    ),
    "EventGapsFrequent": Case(
        fires={_GAPS: "0+2x40"},
        silent={_GAPS: "0x25 1x15"},
        restart=({_GAPS: "20x15 0x25"}, 0),
        replicas_are_equal=False,
    ),
    "BusBehind": Case(
        fires=_carried("0+9x40", "5x40"),
        # The bus has it all; or it takes what comes, and is only behind.
        silent=_carried("9x40", "9x40"),
        restart=(_carried("9x20 _x3 9x20", "5x20 _x3 5x20"), 1),
        more=((_carried("0+9x40", "0+5x40"), 0), (_carried("9x40", ""), 0)),
    ),
    "BusContradictsItself": Case(
        fires={_REFUSED: "0x25 1x15"},
        silent={_REFUSED: "1x40"},
        restart=({_REFUSED: "20x15 0x25"}, 0),
        replicas_are_equal=False,
    ),
    "ReportsStale": Case(
        # A ticket after a minute and a page after ten.
        fires=_folded("9x40", "5x40", _FOREVER),
        firing=2,
        silent=_folded("9x40", "9x40", _FOREVER),
        restart=(_folded("9x15 _x2 9x25", "5x15 _x2 5x25", "0x15 _x2 0x25"), 2),
        more=((_folded("9x40", "5x40", "1500x40"), 1),),
    ),
    "ReportsDoNotReconcile": Case(
        fires=_reconciled("1x40", _FRESH),
        silent=_reconciled("0x40", _FRESH),
        restart=(_reconciled("1x15 _x2 1x25", _FRESH), 1),
    ),
    "HandoffsUnaccounted": Case(
        fires=_unaccounted("1x40", "0x40"),
        silent=_unaccounted("0x40", "0x40"),
        restart=(_unaccounted("1x15 _x2 1x25", "0x40"), 1),
        # One too few and one too many are as bad.
        more=((_unaccounted("0x40", "-1x40"), 1), (_unaccounted("0x40", "1x40"), 1)),
    ),
    "RPCErrorBudgetBurn": Case(
        fires=_calls("0+95x900", "0+5x900"),
        firing=4,
        silent=_calls("0+99999x900", "0+1x900"),
        restart=(_calls("0+100x450 0+100x450", "0x450 0x450"), 0),
        more=(
            (_calls("0+99x900", "0+1x900"), 3),
            # What the caller did wrong is no fault of ours.
            (_calls("0+50x900", "0+50x900", code="NOT_FOUND"), 0),
            (_calls("0+50x900", "0+50x900", code="PERMISSION_DENIED"), 0),
        ),
        step="5m",
        looked="4h",
        at="72h",
        replicas_are_equal=False,
    ),
    "RPCLatencyBudgetBurn": Case(
        fires=_speed("0+80x90", "0+100x90"),
        silent=_speed("0+90x90", "0+100x90"),
        restart=(_speed("0+99x40 0+99x50", "0+100x40 0+100x50"), 0),
        more=((_speed("0+80x90", "0+100x90", method="ListKpis"), 0),),
        at="80m",
    ),
    "Saturation": Case(
        fires=_saturated("0+2x40", "0+100x40"),
        silent=_saturated("0x40", "0+100x40"),
        restart=(_saturated("100x15 0x25", "900+100x15 0+100x25"), 0),
        # Two thousand and forty-eight may wait, and four fifths of them are too many.
        more=((_saturated("0x40", "0+100x40", "1639x40"), 1), (_saturated("0x40", "0+100x40", "1600x40"), 0)),
    ),
    "KeyReuse": Case(
        fires={_REUSED: "0+1x40"},
        silent={_REUSED: "0x25 3x15"},
        restart=({_REUSED: "90x15 0x25"}, 0),
        replicas_are_equal=False,
    ),
    "AuthDenialsSpike": Case(
        fires={_DENIED: "0+1x1440 1440+30x30"},
        # Much, and as on every day.
        silent={_DENIED: "0+30x1470"},
        restart=({_DENIED: "0+1x1440 0+1x30"}, 0),
        looked="5m",
        at="1465m",
        replicas_are_equal=False,
    ),
    "DatabaseDiskLow": Case(
        fires={_FREE: f"{_GIBI - 1}x90"},
        silent={_FREE: f"{9 * _GIBI}x90"},
        restart=({_FREE: f"{9 * _GIBI}x40 _x3 {9 * _GIBI}x50"}, 0),
        # Nine gibibytes of which fifty mebibytes go in a minute last three hours, at five a day and more.
        more=(
            ({_FREE: f"{9 * _GIBI}-{50 * _MEBI}x90"}, 1),
            ({_FREE: f"{9 * _GIBI}-{5 * _MEBI}x90"}, 0),
        ),
        at="70m",
        replicas_are_equal=False,
    ),
    "WALGrowing": Case(
        fires={_WAL: f"{257 * _MEBI}x40"},
        silent={_WAL: f"{256 * _MEBI}x40"},
        restart=({_WAL: f"{300 * _MEBI}x15 0x25"}, 0),
        replicas_are_equal=False,
    ),
    "WebhooksFailing": Case(
        fires=_webhooks(oldest="0x60"),
        silent=_webhooks(oldest="1500x60"),
        restart=(_webhooks(dead="1x15 _x2 1x40"), 1),
        more=((_webhooks(dead="1x60"), 1), (_webhooks(disabled="1x60"), 1)),
        at="40m",
    ),
    "ErasureOverdue": Case(
        fires=_erasures("1x90", "60x90"),
        # Nothing waits, and the instant is 0, which says so.
        silent=_erasures("0x90", "0x90"),
        restart=(_erasures("1x40 _x1 1x49", "60x40 _x1 60x49"), 1),
        more=((_erasures("1x90", "72000x90"), 0),),
        step="30m",
        at="21h",
    ),
    "TargetDown": Case(
        fires={_UP: "1x20 0x20"},
        silent={_UP: "1x40"},
        # A minute without an answer is a restart.
        restart=({_UP: "1x27 0x1 1x10"}, 0),
        replicas_are_equal=False,
    ),
    "MetricMissing": Case(
        fires=_always_there(quarantined="0x3"),
        silent=_always_there(),
        restart=(_always_there(quarantined="0x25 _x3 0x10"), 0),
        firing=1,
        # Of the eight metrics one alert each.
        without=8,
    ),
    "FiguresStale": Case(
        fires={_task("metrics"): _FOREVER, _task("gauges"): _FRESH},
        silent={_task("metrics"): _FRESH, _task("gauges"): _FRESH},
        restart=({_task("metrics"): "0+60x15 _x3 1200+60x20"}, 0),
        # A task of another name says nothing of figures.
        more=(({_task("purge"): _FOREVER}, 0),),
    ),
    "ScrapeTooLarge": Case(
        fires={_SAMPLES: "2001x40"},
        silent={_SAMPLES: "2000x40"},
        restart=({_SAMPLES: "2001x20 1500x20"}, 0),
        replicas_are_equal=False,
    ),
    "Watchdog": Case(
        fires={_UP: "1x40"},
        silent={_UP: "1x40"},
        restart=({_UP: "0x40"}, 1),
        without=1,
        always=True,
    ),
}
