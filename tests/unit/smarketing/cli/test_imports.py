"""A mapping makes of each row exactly what it says; a row that cannot be used spoils itself alone."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.api.terms.v1 import terms_pb2 as termspb
from smarketing.cli.imports.journal import Journal, JournalMismatch, Rejects
from smarketing.cli.imports.mapping import ImportMapping, MappingKind, read_mapping
from smarketing.cli.imports.table import CsvForm, Row, Table, TableFaulty
from smarketing.mapping.rules import FieldFaulty
from smarketing.mapping.yamltext import FileFaulty

EXAMPLES = Path(__file__).parents[4] / "examples"
HEAD = """kind: Leads
time_zone: America/Sao_Paulo
fields:
  source_system: {constant: shop}
  external_id: {column: id}
"""


def a_mapping(
    tmp_path: Path, more: str = "", *, head: str = HEAD, kind: MappingKind = MappingKind.LEADS
) -> ImportMapping:
    path = tmp_path / "map.yaml"
    path.write_text(head + more, encoding="utf-8")
    return read_mapping(path, kind)


def faults_of(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "map.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FileFaulty) as raised:
        read_mapping(path, MappingKind.LEADS)
    return [fault.removeprefix(f"{path}:") for fault in raised.value.faults]


def rows_of(tmp_path: Path, content: bytes, form: CsvForm | None = None) -> list[Row]:
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    table = Table(path, form or CsvForm())
    try:
        return list(table.rows())
    finally:
        table.close()


def submission_of(mapping: ImportMapping, **row: str) -> leadspb.Submission:
    message = mapping.message_of({"id": "1", **row})
    assert isinstance(message, leadspb.Submission)
    return message


# The table


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    (row,) = rows_of(tmp_path, b"\xef\xbb\xbfid,name\n1,Jo\n")

    assert row.values == {"id": "1", "name": "Jo"}


def test_quotes_commas_and_line_breaks_stay_in_their_cell(tmp_path: Path) -> None:
    first, second = rows_of(tmp_path, b'id,name\r\n1,"Jo ""J"", Inc.\r\nRoom 2"\r\n2,Ann\r\n')

    assert first.values["name"] == 'Jo "J", Inc.\r\nRoom 2'
    assert (first.line, second.line) == (2, 4)
    assert (first.number, second.number) == (1, 2)


def test_an_empty_line_is_no_row(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, b"id\n\n1\n\n2\n")

    assert [(row.number, row.line, row.values["id"]) for row in rows] == [(1, 3, "1"), (2, 5, "2")]


@pytest.mark.parametrize("line", [b"1", b"1,2,3"])
def test_a_row_of_another_length_is_faulty_and_reading_goes_on(tmp_path: Path, line: bytes) -> None:
    faulty, good = rows_of(tmp_path, b"id,name\n" + line + b"\n2,Ann\n")

    assert "where the header has 2" in faulty.fault
    assert good.values == {"id": "2", "name": "Ann"}


def test_bytes_that_are_no_text_spoil_their_row_alone(tmp_path: Path) -> None:
    faulty, good = rows_of(tmp_path, b"id,name\n1,J\xf6\n2,Ann\n")

    assert faulty.fault == "has bytes that are no text"
    assert faulty.cells == ["1", "J\ufffd"]
    assert not good.fault


def test_another_encoding_is_read_when_the_mapping_says_so(tmp_path: Path) -> None:
    (row,) = rows_of(tmp_path, b"id;name\n1;J\xf6\n", CsvForm(";", "iso-8859-1"))

    assert row.values["name"] == "Jö"


def test_a_quote_that_never_ends_is_one_faulty_row(tmp_path: Path) -> None:
    good, faulty = rows_of(tmp_path, b'id,name\n1,Ann\n2,"Jo\n')

    assert not good.fault
    assert faulty.fault.startswith("is not CSV")


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TableFaulty, match="several columns named 'id'"):
        rows_of(tmp_path, b"id,id\n1,2\n")


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableFaulty, match="no header"):
        rows_of(tmp_path, b"")


def test_rows_are_read_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"id\n" + b"".join(b"%07d\n" % number for number in range(200_000)))
    table = Table(path, CsvForm())
    rows = table.rows()

    next(rows)

    assert table.position < table.size / 10
    table.close()


# The mapping


def test_absent_and_unknown_are_two_sources(tmp_path: Path) -> None:
    mapping = a_mapping(tmp_path, "  qualification.source: {column: origin}\n")

    assert not submission_of(mapping, origin="").qualification.HasField("source")
    assert submission_of(mapping, origin="unknown").qualification.source == "unknown"


def test_a_word_is_translated_and_another_falls_to_otherwise(tmp_path: Path) -> None:
    mapping = a_mapping(
        tmp_path,
        "  qualification.source_channel: {column: o, values: {ads: paid_search}, otherwise: unmapped}\n",
    )

    assert submission_of(mapping, o="ads").qualification.source_channel == termspb.SOURCE_CHANNEL_PAID_SEARCH
    assert submission_of(mapping, o="x").qualification.source_channel == termspb.SOURCE_CHANNEL_UNMAPPED
    assert submission_of(mapping, o="").qualification.source_channel == termspb.SOURCE_CHANNEL_UNSPECIFIED


def test_a_word_without_translation_is_a_fault_of_its_row(tmp_path: Path) -> None:
    mapping = a_mapping(tmp_path, "  qualification.source_channel: {column: o, values: {ads: paid_search}}\n")

    with pytest.raises(FieldFaulty, match=r"qualification\.source_channel 'x' has no entry"):
        submission_of(mapping, o="x")


def test_a_date_is_a_day_of_the_zone_also_where_it_has_no_midnight(tmp_path: Path) -> None:
    mapping = a_mapping(tmp_path, '  qualification.inquire_time: {column: day, format: "%Y-%m-%d"}\n')

    inquired = submission_of(mapping, day="2017-10-15").qualification.inquire_time

    assert inquired.ToDatetime(tzinfo=UTC) == datetime(2017, 10, 15, 3, tzinfo=UTC)


@pytest.mark.parametrize("day", ["2017-02-30", "15.10.2017", "2017-10-15 10:00", "yesterday"])
def test_a_bad_date_is_a_fault_of_its_row(tmp_path: Path, day: str) -> None:
    mapping = a_mapping(tmp_path, '  qualification.inquire_time: {column: day, format: "%Y-%m-%d"}\n')

    with pytest.raises(FieldFaulty, match="is not a time of the form"):
        submission_of(mapping, day=day)


def test_a_local_time_that_the_clocks_sprang_over_is_a_fault_of_its_row(tmp_path: Path) -> None:
    mapping = a_mapping(tmp_path, "  qualification.inquire_time: {column: at}\n")

    with pytest.raises(FieldFaulty, match="sprang over"):
        submission_of(mapping, at="2017-10-15T00:30:00")


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("epoch_seconds", "1514764800"),
        ("epoch_milliseconds", "1514764800000"),
        ("iso", "2018-01-01T09:00:00+09:00"),
        ('"%d.%m.%Y %H:%M %z"', "31.12.2017 22:00 -0200"),
    ],
)
def test_instants_come_in_several_forms(tmp_path: Path, form: str, text: str) -> None:
    mapping = a_mapping(tmp_path, f"  qualification.inquire_time: {{column: at, format: {form}}}\n")

    inquired = submission_of(mapping, at=text).qualification.inquire_time

    assert inquired.ToDatetime(tzinfo=UTC) == datetime(2018, 1, 1, tzinfo=UTC)


def test_a_zero_that_says_nothing_is_no_amount(tmp_path: Path) -> None:
    mapping = a_mapping(tmp_path, "  qualification.value: {column: v, currency: BRL, zero_is_absent: true}\n")

    assert not submission_of(mapping, v="0.0").qualification.HasField("value")
    assert submission_of(mapping, v="10.5").qualification.value.minor_units == 1050


def test_amounts_may_be_written_the_continental_way(tmp_path: Path) -> None:
    mapping = a_mapping(
        tmp_path,
        '  qualification.value: {column: v, currency_column: c, decimal: ",", grouping: "."}\n',
    )

    assert submission_of(mapping, v="1.234,50", c="EUR").qualification.value == termspb.Money(
        currency_code="EUR", minor_units=123_450
    )


def test_a_template_with_an_empty_column_is_absent(tmp_path: Path) -> None:
    mapping = a_mapping(tmp_path, '  contact.attributes.place: {template: "{city} ({country})"}\n')

    assert submission_of(mapping, city="Ulm", country="DE").contact.attributes["place"] == "Ulm (DE)"
    assert not submission_of(mapping, city="Ulm", country="").contact.attributes


def test_a_row_without_its_id_is_faulty(tmp_path: Path) -> None:
    with pytest.raises(FieldFaulty, match="external_id is absent and required"):
        a_mapping(tmp_path).message_of({"id": ""})


def test_conditions_choose_rows(tmp_path: Path) -> None:
    mapping = a_mapping(tmp_path, "when: {stage: [Won, Lost], closed: present}\n")

    assert mapping.takes({"stage": "Won", "closed": "2020-01-01"})
    assert not mapping.takes({"stage": "Won", "closed": ""})
    assert not mapping.takes({"stage": "Open", "closed": "2020-01-01"})


def test_words_that_yaml_would_turn_into_something_else_stay_text(tmp_path: Path) -> None:
    mapping = a_mapping(tmp_path, "  qualification.region: {column: c, values: {no: no, 12:30: half past}}\n")

    assert submission_of(mapping, c="no").qualification.region == "no"
    assert submission_of(mapping, c="12:30").qualification.region == "half past"


def test_every_fault_of_a_mapping_is_told_with_its_line(tmp_path: Path) -> None:
    faults = faults_of(
        tmp_path,
        """kind: Leeds
time_zone: Mars/Olympus
fields:
  source_system: {constant: shop}
  external_id: {colum: id}
  qualification.sorce: {column: o}
  qualification.source_channel: {constant: papid}
  qualification.value: {column: v}
  qualification.inquire_time: {column: d, format: sometime}
  history: {constant: x}
  source_system: {constant: again}
""",
    )

    lines = [int(fault.split(":")[0]) for fault in faults]
    assert set(lines) == {1, 2, 5, 6, 7, 8, 9, 10, 11}
    assert any(fault.startswith("6: fields.qualification.sorce is no field") for fault in faults)


def test_what_is_no_yaml_is_told_with_its_line(tmp_path: Path) -> None:
    (fault,) = faults_of(tmp_path, "kind: Leads\nfields: [\n")

    assert fault.startswith("3:")


def test_a_tag_that_would_build_an_object_is_refused(tmp_path: Path) -> None:
    faults = faults_of(tmp_path, HEAD + "  contact.email: {constant: !!python/object/apply:os.getcwd []}\n")

    assert any("is not allowed here" in fault for fault in faults)


def test_a_column_that_the_file_has_not_is_told_before_a_row_is_read(tmp_path: Path) -> None:
    mapping = a_mapping(tmp_path, "  contact.email: {column: mail}\n")

    with pytest.raises(FileFaulty, match=r"map\.yaml:6: the file has no column 'mail'"):
        mapping.check(["id", "email"])


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("olist_leads", MappingKind.LEADS),
        ("olist_outcomes", MappingKind.OUTCOMES),
        ("maven_leads", MappingKind.LEADS),
        ("maven_outcomes", MappingKind.OUTCOMES),
    ],
)
def test_the_examples_are_valid(name: str, kind: MappingKind) -> None:
    assert read_mapping(EXAMPLES / f"{name}.yaml", kind).rules


@pytest.mark.parametrize(
    ("name", "kind", "file", "taken"),
    [
        ("olist_leads", MappingKind.LEADS, "olist_funnel/olist_marketing_qualified_leads_dataset.csv", 8000),
        ("olist_outcomes", MappingKind.OUTCOMES, "olist_funnel/olist_closed_deals_dataset.csv", 842),
        ("maven_leads", MappingKind.LEADS, "maven_crm/sales_pipeline.csv", 8300),
        ("maven_outcomes", MappingKind.OUTCOMES, "maven_crm/sales_pipeline.csv", 6711),
    ],
)
def test_the_examples_take_the_published_files_whole(
    name: str, kind: MappingKind, file: str, taken: int
) -> None:
    path = Path(os.environ.get("SHARED_DATA", "-")) / file
    if not path.exists():
        pytest.skip("SHARED_DATA does not name a folder with the published files")
    mapping = read_mapping(EXAMPLES / f"{name}.yaml", kind)
    table = Table(path, mapping.form)
    mapping.check(table.columns)

    messages = [mapping.message_of(row.values) for row in table.rows() if mapping.takes(row.values)]

    assert len(messages) == taken
    table.close()


# What was settled


IDENTITY = {"file_sha256": "a", "mapping_sha256": "b"}


def test_a_journal_remembers_the_last_settled_row(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "state", IDENTITY, restart=False)
    journal.settle(200, 201)
    journal.settle(400, 405)
    journal.close()

    again = Journal(tmp_path / "state", IDENTITY, restart=False)

    assert (again.row, again.line) == (400, 405)
    again.close()


def test_a_line_that_a_crash_cut_off_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "state"
    journal = Journal(path, IDENTITY, restart=False)
    journal.settle(200, 201)
    journal.close()
    path.write_bytes(path.read_bytes() + b'{"row": 40')

    again = Journal(path, IDENTITY, restart=False)

    assert again.row == 200
    again.close()


def test_the_state_of_another_file_is_refused(tmp_path: Path) -> None:
    Journal(tmp_path / "state", IDENTITY, restart=False).close()

    with pytest.raises(JournalMismatch, match="another file_sha256"):
        Journal(tmp_path / "state", IDENTITY | {"file_sha256": "c"}, restart=False)


def test_a_restart_forgets(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "state", IDENTITY, restart=False)
    journal.settle(200, 201)
    journal.close()

    again = Journal(tmp_path / "state", IDENTITY | {"file_sha256": "c"}, restart=True)

    assert again.row == 0
    again.close()


def test_rejected_rows_behind_the_settled_ones_are_not_kept_twice(tmp_path: Path) -> None:
    path = tmp_path / "rejected.csv"
    rejects = Rejects(path, ["id"], settled_line=0)
    for line in (3, 7, 12):
        rejects.add(Row(line - 1, line, [f"r{line}"], {}), "no")
    rejects.close()

    again = Rejects(path, ["id"], settled_line=7)
    again.add(Row(11, 12, ["r12"], {}), "no")
    again.close()

    assert path.read_text(encoding="utf-8").split() == ["line,reason,id", "3,no,r3", "7,no,r7", "12,no,r12"]
    assert path.stat().st_mode & 0o077 == 0
