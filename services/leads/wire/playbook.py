"""The playbook: protobuf ⇄ domain. What is shown has its defaults filled in; what is kept has not."""

from datetime import timedelta
from functools import lru_cache
from typing import Final

from google.protobuf.duration_pb2 import Duration

from services.leads.domain.claims import ClaimOrder
from services.leads.domain.directory import Party
from services.leads.domain.errors import Fault, PlaybookInvalid
from services.leads.domain.playbook import DEFAULT_ACTION_TIMES, Playbook, Stage
from services.leads.domain.reasons import ReasonCode, ReasonUse
from services.leads.domain.states import NextAction
from services.leads.domain.terms import SourceChannel
from services.leads.domain.vocabulary import OfflineSource, Segment, Vocabulary
from services.leads.wire.leads import reason_message
from services.leads.wire.values import instant_in, put_instant
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.leads.v1 import playbook_pb2 as playbookpb
from smarketing.api.terms.v1 import terms_pb2 as termspb

_DEFAULT: Final = Playbook()
_MICROSECOND: Final = timedelta(microseconds=1)
_USES: Final = {use.value: use for use in ReasonUse}
_ACTIONS: Final = {action.value: action for action in NextAction}
_CHANNELS: Final = {channel.value: channel for channel in SourceChannel}
_PARTIES: Final = {termspb.Party.Value(f"PARTY_{party.name}"): party for party in Party}


def playbook_name(tenant: str) -> str:
    """Return the name of a tenant's playbook."""
    return f"tenants/{tenant}/playbook"


def playbook_message(tenant: str, playbook: Playbook) -> playbookpb.Playbook:
    """Return the playbook as its resource, with every default."""
    # Codes for voiding are nobody's to change, so what is shown can be applied again as it stands.
    reasons = tuple(reason for reason in playbook.reason_codes if reason.use is not ReasonUse.VOID)
    message = _message(playbook, reasons, playbook.stages)
    message.name = playbook_name(tenant)
    message.etag = str(playbook.version)
    for action in DEFAULT_ACTION_TIMES:
        _put_action(message, action, playbook.action_time(action))
    return message


def playbook_changed(tenant: str, playbook: Playbook) -> leadeventspb.PlaybookChanged:
    """Return the payload that says what the playbook is now."""
    return leadeventspb.PlaybookChanged(playbook=playbook_message(tenant, playbook))


def playbook_bytes(playbook: Playbook) -> bytes:
    """Return what a tenant said of its own, to be kept."""
    message = _message(playbook, playbook.own_reason_codes, playbook.own_stages)
    for action, duration in playbook.own_action_times:
        _put_action(message, action, duration)
    return message.SerializeToString(deterministic=True)


@lru_cache(maxsize=256)
def playbook_from_bytes(content: bytes, *, version: int) -> Playbook:
    """Return what was kept; remembered, because every transaction of the tenant asks."""
    return playbook_of(playbookpb.Playbook.FromString(content), version=version)


def playbook_of(message: playbookpb.Playbook, *, version: int) -> Playbook:
    """Return what a tenant wants; what it leaves out is left to the default.

    Raises:
        PlaybookInvalid: a code or a next action has no use.
    """
    order = message.claim_order
    return Playbook(
        version=version,
        claim_order=ClaimOrder(
            score_advance=_duration(order.score_advance_duration),
            value_advance=_duration(order.value_advance_duration),
            value_step=order.value_step_minor_units or _DEFAULT.claim_order.value_step,
        ),
        max_takeovers=message.max_takeovers if message.HasField("max_takeovers") else _DEFAULT.max_takeovers,
        own_reason_codes=tuple(
            _reason_of(each, f"reason_codes[{index}]") for index, each in enumerate(message.reason_codes)
        ),
        dispute_window_days=message.dispute_window_days or _DEFAULT.dispute_window_days,
        dispute_answer_days=message.dispute_answer_days or _DEFAULT.dispute_answer_days,
        after_win_queue=message.after_win_queue,
        after_win_lead_type=message.after_win_lead_type,
        own_stages=tuple(Stage(each.stage, each.probability_percent) for each in message.stages),
        own_action_times=tuple(
            (_ACTIONS.get(each.action, NextAction.NOTHING), _duration(each.due_duration))
            for each in message.action_times
        ),
        vocabulary=Vocabulary(
            segments=tuple(
                Segment(each.segment, each.description, tuple(each.also_known_as))
                for each in message.segments
            ),
            offline_sources=tuple(
                _offline_source_of(each, f"offline_sources[{index}]")
                for index, each in enumerate(message.offline_sources)
            ),
        ),
    )


def _message(
    playbook: Playbook, reasons: tuple[ReasonCode, ...], stages: tuple[Stage, ...]
) -> playbookpb.Playbook:
    order = playbook.claim_order
    return playbookpb.Playbook(
        claim_order=playbookpb.ClaimOrder(
            score_advance_duration=_told(order.score_advance),
            value_advance_duration=_told(order.value_advance),
            value_step_minor_units=order.value_step,
        ),
        max_takeovers=playbook.max_takeovers,
        reason_codes=[reason_message(each) for each in reasons],
        dispute_window_days=playbook.dispute_window_days,
        dispute_answer_days=playbook.dispute_answer_days,
        after_win_queue=playbook.after_win_queue,
        after_win_lead_type=playbook.after_win_lead_type,
        stages=[
            playbookpb.OpportunityStage(stage=each.stage, probability_percent=each.probability_percent)
            for each in stages
        ],
        segments=[
            playbookpb.Segment(
                segment=each.segment, description=each.description, also_known_as=each.also_known_as
            )
            for each in playbook.vocabulary.segments
        ],
        offline_sources=[_offline_message(each) for each in playbook.vocabulary.offline_sources],
    )


def _put_action(message: playbookpb.Playbook, action: NextAction, duration: timedelta) -> None:
    message.action_times.add(action=int(action), due_duration=_told(duration))


def _reason_of(message: leadspb.ReasonCode, path: str) -> ReasonCode:
    use, party = _USES.get(message.use), _PARTIES.get(message.accountable_party)
    if use is None:
        raise PlaybookInvalid([Fault(f"{path}.use", "must say when the code may be used")])
    if party is None:
        raise PlaybookInvalid(
            [Fault(f"{path}.accountable_party", "must be the party on which it is counted")]
        )
    return ReasonCode(message.code, use, party, message.evidence_required, message.description)


def _offline_source_of(message: playbookpb.OfflineSource, path: str) -> OfflineSource:
    channel = _CHANNELS.get(message.source_channel)
    if channel is None:
        raise PlaybookInvalid([Fault(f"{path}.source_channel", "must be a channel")])
    return OfflineSource(
        code=message.code,
        self_report=message.self_report,
        start_time=instant_in(message, "start_time"),
        end_time=instant_in(message, "end_time"),
        source_channel=channel,
        campaign=message.campaign,
    )


def _offline_message(source: OfflineSource) -> playbookpb.OfflineSource:
    message = playbookpb.OfflineSource(
        code=source.code,
        self_report=source.self_report,
        source_channel=termspb.SourceChannel.ValueType(source.source_channel),
        campaign=source.campaign,
    )
    if source.start_time is not None:
        put_instant(message.start_time, source.start_time)
    if source.end_time is not None:
        put_instant(message.end_time, source.end_time)
    return message


def _duration(message: Duration) -> timedelta:
    return timedelta(seconds=message.seconds, microseconds=message.nanos // 1000)


def _told(duration: timedelta) -> Duration:
    micros = duration // _MICROSECOND
    return Duration(seconds=micros // 1_000_000, nanos=micros % 1_000_000 * 1000)
