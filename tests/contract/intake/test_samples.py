"""Each published payload, sent to the real endpoint, becomes what was read from it by hand."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
import yaml
from google.protobuf import json_format

from smarketing.api.leads.v1 import leads_pb2 as leadspb
from tests.contract.intake.gate import SECRET, Gate, a_gate, proof, sample

EXPECTED = yaml.safe_load((Path(__file__).parent / "leads.yaml").read_text())


def _body(case: dict[str, Any]) -> bytes:
    """Return what is delivered: some samples are only the inner part of it."""
    raw = sample(case["sample"])
    if "key" in case:
        return json.dumps({case["key"]: json.loads(raw), "timestamp": "2017-06-19T09:33:00+00:00"}).encode()
    return raw


async def _deliver(gate: Gate, case: dict[str, Any]) -> None:
    vendor = case["vendor"]
    secret = "example-google-key" if vendor == "google_ads_lead_form" else SECRET
    source = await gate.source(vendor, case.get("system", ""), secret=secret)
    body = _body(case)
    if vendor == "callrail":
        query = parse_qsl(body.decode().strip(), keep_blank_values=True)
        response = await gate.http.get(source.path, params=[*query, ("token", SECRET)])
    else:
        response = await gate.post(source, body, **proof(vendor, body))
    assert response.status_code == 200, response.text
    assert await gate.set_aside(source) == []


@pytest.mark.parametrize("case", EXPECTED, ids=lambda case: case["sample"])
async def test_a_sample_becomes_exactly_the_lead_written_by_hand(
    case: dict[str, Any], tmp_path: Path
) -> None:
    async with a_gate(tmp_path) as gate:
        await _deliver(gate, case)

        [(contact, handoff)] = await gate.leads()
        assert contact == json_format.ParseDict(case["contact"], leadspb.Contact())
        assert handoff.qualification == json_format.ParseDict(case["qualification"], leadspb.Qualification())
        assert handoff.external_id == case["external_id"]
        assert handoff.source_system == case.get("system", case["vendor"])
        assert handoff.revision == case.get("revision", 0)


@pytest.mark.parametrize("case", EXPECTED, ids=lambda case: case["sample"])
async def test_a_repeated_delivery_becomes_nothing_new(case: dict[str, Any], tmp_path: Path) -> None:
    async with a_gate(tmp_path) as gate:
        await _deliver(gate, case)
        before = await gate.leads()
        await _deliver(gate, case)

        assert await gate.leads() == before
        assert len(before) == 1
