"""Decides again what a log says was decided, from the rules, the traits and who could as they stand in it."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from services.leads.domain.routing import ABLE, CHOSEN, Ground, letters_of
from services.leads.domain.routing_rules import Routing, RoutingRule, Traits, traits_of
from services.leads.domain.turns import Pool, shares_of
from services.leads.wire.leads import qualification_of
from services.leads.wire.routing import routing_from
from smarketing.api.eventlog.v1 import eventlog_pb2 as eventlogpb
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.leads.v1 import leads_pb2 as leadspb


@dataclass
class Replay:
    """The decisions of a log, made a second time."""

    decisions: int = 0
    turns: int = 0
    differing: list[str] = field(default_factory=list)
    """Offers that the rules would have made otherwise."""
    pools: dict[str, Pool] = field(default_factory=dict)
    _versions: dict[int, Routing] = field(default_factory=dict)
    _traits: dict[str, Traits] = field(default_factory=dict)

    def fold(self, events: Iterable[eventlogpb.Event]) -> "Replay":
        """Take in a part of the log."""
        for event in events:
            kind, value = event.payload.type_url.rpartition(".")[2], event.payload.value
            if kind == "RoutingChanged":
                routing = routing_from(leadeventspb.RoutingChanged.FromString(value).routing)
                self._versions[routing.version] = routing
            elif kind in {"HandoffSubmitted", "HandoffRevised"}:
                self._learn(kind, value)
            elif kind == "HandoffOffered":
                offered = leadeventspb.HandoffOffered.FromString(value)
                if offered.decision.routing_version:
                    self._decide(offered)
        return self

    def _learn(self, kind: str, value: bytes) -> None:
        if kind == "HandoffSubmitted":
            begun = leadeventspb.HandoffSubmitted.FromString(value)
            told = qualification_of(begun.qualification)
            self._traits[begun.handoff] = traits_of(told, begun.source_system)
            return
        revised = leadeventspb.HandoffRevised.FromString(value)
        system = self._traits[revised.handoff].source_system
        self._traits[revised.handoff] = traits_of(qualification_of(revised.qualification), system)

    def _decide(self, offered: leadeventspb.HandoffOffered) -> None:
        decision, routing = offered.decision, self._versions[offered.decision.routing_version]
        self.decisions += 1
        if decision.ground in {Ground.TURN, Ground.NOBODY_ELIGIBLE, Ground.NO_RULE_MATCHED}:
            rule = _first_match(routing, self._traits[offered.handoff], decision)
            if (rule.rule_id if rule else "") != decision.rule_id:
                self.differing.append(offered.offer)
                return
            if rule is not None:
                self._turn(rule, offered)

    def _turn(self, rule: RoutingRule, offered: leadeventspb.HandoffOffered) -> None:
        letters = letters_of(offered.decision.candidates)
        assert len(letters) == len(rule.members)
        members = [m for m, letter in zip(rule.members, letters, strict=True) if letter in {ABLE, CHOSEN}]
        if not members:
            if offered.assignee not in {
                rule.queue,
                self._versions[offered.decision.routing_version].fallback_queue,
            }:
                self.differing.append(offered.offer)
            return
        pool = self.pools.setdefault(rule.rule_id, Pool())
        able = [pool.balance(member.person) for member in members]
        chosen = members[pool.give(able, shares_of([member.weight for member in members]))]
        self.turns += 1
        if chosen.person != offered.assignee:
            self.differing.append(offered.offer)


def _first_match(routing: Routing, traits: Traits, decision: leadspb.RoutingDecision) -> RoutingRule | None:
    """Return the first rule that holds; a company's domain, which no log tells, is as the decision says."""
    for rule in routing.rules:
        told = not rule.condition.company_domains or rule.rule_id == decision.rule_id
        if told and rule.holds_for(traits):
            return rule
    return None
