"""Carries an import through: rows out of the table, batches to the service, what was settled to disk."""

from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from google.protobuf.message import Message

from smarketing.api.leads.v1 import leads_pb2 as leadspb
from smarketing.cli.imports.journal import Journal, Rejects
from smarketing.cli.imports.mapping import ImportMapping
from smarketing.cli.imports.table import Row, Table, sha256_of
from smarketing.client import CallError
from smarketing.mapping.rules import FieldFaulty

__all__ = ["Answered", "Import", "ImportOptions", "ImportReport", "Timing", "adjusted"]

_SETTLE_ROWS = 10_000

M = TypeVar("M", bound=Message)
Sent = TypeVar("Sent", bound=Message, contravariant=True)  # noqa: PLC0105 - a word, not a letter soup


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of one row that was sent."""

    refusal: CallError | None
    outcome: str
    """The word for it, when it was not refused."""


class Send(Protocol[Sent]):
    """Sends messages and yields the answers in their order, batch by batch."""

    def __call__(self, messages: Iterator[Sent]) -> AsyncIterator[list[Answered]]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Whether rows are history or happen now."""

    historical: bool = True
    still_open: bool = False

    @property
    def word(self) -> str:
        """How the state file says it."""
        if not self.historical:
            return "live"
        return "historical, still open" if self.still_open else "historical"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """Which file goes where."""

    file: Path
    parent: str
    target: str
    state: Path
    rejected: Path
    restart: bool = False
    timing: Timing = field(default_factory=Timing)


@dataclass(slots=True)
class ImportReport:
    """What became of the rows of a file."""

    rows: int = 0
    """Read."""
    skipped: int = 0
    """Settled by an earlier run."""
    passed_over: int = 0
    """Not meant by the mapping's `when`."""
    sent: int = 0
    """Answered in this run."""
    rejected: int = 0
    """In the file of rejected rows, an earlier run's included."""
    outcomes: Counter[str] = field(default_factory=Counter)
    """Answers by outcome."""


class Import(Generic[M]):
    """One run over one file."""

    def __init__(
        self,
        mapping: ImportMapping,
        options: ImportOptions,
        prepare: Callable[[Message], M],
        on_progress: Callable[[int, int], None],
    ) -> None:
        """Open the files.

        Raises:
            TableFaulty, FileFaulty, JournalMismatch, OSError: before anything is sent.
        """
        self._mapping = mapping
        self._prepare = prepare
        self._on_progress = on_progress
        self._table = Table(options.file, mapping.form)
        try:
            mapping.check(self._table.columns)
            self._journal = Journal(options.state, _identity(mapping, options), restart=options.restart)
        except BaseException:
            self._table.close()
            raise
        self._settled = self._journal.row
        self._rejects = Rejects(options.rejected, self._table.columns, settled_line=self._journal.line)
        self._waiting: deque[Row] = deque()
        self._last: Row | None = None
        self.report = ImportReport()
        """Counts so far."""

    @property
    def settled(self) -> int:
        """Rows that need not be sent again."""
        return self._journal.row

    async def run(self, send: Send[M]) -> ImportReport:
        """Send what is not settled, and return the counts.

        Raises:
            CallError: the service could not be reached; the next run resumes.
        """
        try:
            async for answers in send(self._messages()):
                for answer in answers:
                    row = self._settle_one(answer)
                self._settle(row)
            if self._last is not None:
                self._settle(self._last)
        finally:
            self.report.rejected = self._rejects.count
            self._journal.close()
            self._rejects.close()
            self._table.close()
        return self.report

    def _messages(self) -> Iterator[M]:
        for row in self._table.rows():
            self.report.rows += 1
            self._last = row
            self._on_progress(self._table.position, self._table.size)
            if row.number <= self._settled:
                self.report.skipped += 1
                continue
            message = self._message_of(row)
            if message is not None:
                self._waiting.append(row)
                yield message
            elif not self._waiting and row.number % _SETTLE_ROWS == 0:
                self._settle(row)

    def _message_of(self, row: Row) -> M | None:
        if row.fault:
            self._rejects.add(row, row.fault)
            return None
        if not self._mapping.takes(row.values):
            self.report.passed_over += 1
            return None
        try:
            return self._prepare(self._mapping.message_of(row.values))
        except FieldFaulty as fault:
            self._rejects.add(row, str(fault))
            return None

    def _settle_one(self, answer: Answered) -> Row:
        row = self._waiting.popleft()
        self.report.sent += 1
        if answer.refusal is None:
            self.report.outcomes[answer.outcome] += 1
        else:
            self._rejects.add(row, reason_of(answer.refusal))
        return row

    def _settle(self, row: Row) -> None:
        # Rejected rows first: a row that counts as settled is never read again.
        self._rejects.flush()
        self._journal.settle(row.number, row.line)


def _identity(mapping: ImportMapping, options: ImportOptions) -> dict[str, str]:
    return {
        "file_sha256": sha256_of(options.file),
        "mapping_sha256": mapping.sha256,
        "kind": mapping.kind,
        "parent": options.parent,
        "target": options.target,
        "timing": options.timing.word,
    }


def adjusted(submission: Message, timing: Timing) -> leadspb.Submission:
    """Return the submission of a row as history or as happening now."""
    assert isinstance(submission, leadspb.Submission)  # noqa: S101 - the mapping's kind says so
    if not timing.historical:
        submission.ClearField("history")
        return submission
    submission.history.SetInParent()
    if timing.still_open:
        submission.history.still_open = True
    return submission


def reason_of(refusal: CallError) -> str:
    """Return a refusal as one cell."""
    fields = "; ".join(f"{each.field}: {each.description}" for each in refusal.field_violations)
    return f"{refusal.reason or refusal.code.name}: {fields or refusal.message}"
