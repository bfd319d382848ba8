"""An agreement names a version of the MQL definition that exists, as far as the leads log says which do."""

import pytest

from services.sla.domain.marketing_terms import MarketingTerms
from services.sla.domain.refused import AgreementInvalid
from smarketing.api.leads.v1 import events_pb2 as leadeventspb
from smarketing.api.leads.v1 import scoring_pb2 as scoringpb
from tests.builders.sla_engine import TENANT, Engine, some_terms


def an_engine_that_was_told_of(number: int, title: str = "") -> Engine:
    engine = Engine()
    name = f"{TENANT}/mqlDefinitions/{number}"
    definition = scoringpb.MqlDefinition(name=name, display_name=title)
    engine.tell(name, leadeventspb.MqlDefinitionActivated(mql_definition=definition))
    return engine


def agree(engine: Engine, named: str) -> None:
    engine.agree(some_terms(marketing=MarketingTerms(mql_definition=named)))


@pytest.mark.parametrize("named", [f"{TENANT}/mqlDefinitions/2", "mqlDefinitions/2", "2", "mql-2026-09"])
def test_a_version_can_be_named_by_all_its_names(named: str) -> None:
    agree(an_engine_that_was_told_of(2, "mql-2026-09"), named)


@pytest.mark.parametrize("named", [f"{TENANT}/mqlDefinitions/3", "3", "tenants/other/mqlDefinitions/2"])
def test_a_version_that_was_never_in_force_is_refused_with_its_path(named: str) -> None:
    with pytest.raises(AgreementInvalid) as refused:
        agree(an_engine_that_was_told_of(2), named)

    assert [fault.path for fault in refused.value.faults] == ["marketing_terms.mql_definition"]


def test_what_the_log_said_nothing_of_is_taken_as_it_is() -> None:
    agree(Engine(), "mql-2026-09")
