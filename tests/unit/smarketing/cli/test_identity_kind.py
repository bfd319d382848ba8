"""The rules of who is who in a directory's file: those of the documentation are those that are measured."""

from pathlib import Path

import pytest

from services.leads.wire.identity import identity_from
from smarketing.api.leads.v1 import directory_pb2 as directorypb
from smarketing.cli.configuration import read_documents
from smarketing.cli.kinds import READERS
from smarketing.mapping.yamltext import FileFaulty
from tests.builders.crowds import RULES

DOCUMENTED = Path(__file__).parents[4] / "docs" / "identity.md"
REST = """\
kind: Directory
time_zone: Asia/Seoul
currency_code: KRW
routing: {fallback_queue: inbound}
"""


def directory_of(tmp_path: Path, identity: str) -> directorypb.Directory:
    path = tmp_path / "directory.yaml"
    path.write_text(REST + identity, encoding="utf-8")
    [document] = read_documents([path], "default", READERS)
    assert isinstance(document.message, directorypb.Directory)
    return document.message


def test_the_documented_rules_are_those_whose_precision_is_measured(tmp_path: Path) -> None:
    identity = DOCUMENTED.read_text(encoding="utf-8").partition("```yaml\n")[2].partition("```")[0]

    assert identity_from(directory_of(tmp_path, identity).identity) == RULES


def test_a_directory_that_says_nothing_has_no_rules(tmp_path: Path) -> None:
    assert not identity_from(directory_of(tmp_path, "").identity).are_set


@pytest.mark.parametrize(
    ("identity", "said"),
    [
        ("identity: {automatic_from: 101%}", "at most 100%"),
        ("identity: {rules: [{id: a, signals: [mail], confidence: 90%}]}", "mail"),
        ("identity: {rules: [{id: a, signals: [email]}]}", "confidence"),
    ],
)
def test_what_is_no_rule_is_refused_with_its_place(tmp_path: Path, identity: str, said: str) -> None:
    with pytest.raises(FileFaulty, match=said):
        directory_of(tmp_path, identity)
