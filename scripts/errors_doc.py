"""Writes docs/errors.md from the places in the code where a refusal gets its reason.

    python scripts/errors_doc.py            # write it
    python scripts/errors_doc.py --check    # end with 1 when it is not current

The code is read, not run: a reason is a literal beside a gRPC status, or beside a function that has one.
"""

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "docs" / "errors.md"
SOURCES = (
    "smarketing/server/*.py",
    "smarketing/eventlog/*.py",
    "services/leads/rpc/*.py",
    "services/sla/rpc/*.py",
    "services/reports/rpc/*.py",
)
ONE_FIELD = "INVALID_ARGUMENT"
SEE_FIELDS = "Correct the fields that `BadRequest` names."

_REASON = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*")

HEAD = """\
# Errors

<!-- Written by scripts/errors_doc.py; change the code, not this file. -->

A refused call ends with a gRPC status and, in `google.rpc.Status`, an `ErrorInfo` of the domain `smarketing`.
Decide by its `reason`, never by the text: reasons stay, texts may be reworded.
Each changing word of the text stands in `ErrorInfo.metadata` too.
Where fields of the request are at fault, `BadRequest` names each with its path.
Where it helps to come again later, `RetryInfo` says when.
A message of more than 4 MiB is refused by the transport itself, with `RESOURCE_EXHAUSTED` and no reason.
In batches the same status stands in the result of the item that was refused.

| reason | status | says | of |
| --- | --- | --- | --- |
"""


@dataclass(frozen=True, slots=True)
class Found:
    """One place at which a reason is given."""

    reason: str
    status: str
    text: str


class Module:
    """What one file says about refusals."""

    def __init__(self, path: Path) -> None:
        self._tree = ast.parse(path.read_text(encoding="utf-8"))
        self._statuses: dict[str, str] = {}
        self._tables: dict[str, list[str]] = {}
        for node in self._tree.body:
            self._note_constant(node)
        self._makers = dict(self._found_makers())

    def _note_constant(self, node: ast.stmt) -> None:
        if isinstance(node, ast.Assign):
            target, value = node.targets[0], node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            target, value = node.target, node.value
        else:
            return
        if not isinstance(target, ast.Name):
            return
        if status := _status_of(value):
            self._statuses[target.id] = status
        if isinstance(value, ast.Dict):
            self._tables[target.id] = [text for each in value.values if (text := _reason_of(each))]

    def _found_makers(self) -> Iterator[tuple[str, Found]]:
        """Yield functions that are given a reason, with the status that they put beside it."""
        for function in self._functions():
            for call in _calls(function):
                given = [ast.unparse(argument) for argument in call.args[1:2]]
                given += [ast.unparse(each.value) for each in call.keywords if each.arg == "reason"]
                if "reason" in given:
                    status = self._status(call.args[0]) if _name_of(call) == "Refusal" else ONE_FIELD
                    yield function.name, Found("", status, self._text(call.args[2:3], function))

    def found(self) -> Iterator[Found]:
        """Yield every reason with its status and text."""
        seen: set[int] = set()
        # Inner functions come later; the message of a call is looked up in the outermost one.
        for function in self._functions():
            for call in _calls(function):
                if id(call) not in seen:
                    seen.add(id(call))
                    yield from self._found_in(call, function)
        for call in _calls(self._tree):
            if id(call) not in seen:
                yield from self._found_in(call, self._tree)

    def _found_in(self, call: ast.Call, around: ast.AST) -> Iterator[Found]:
        name = _name_of(call)
        if name == "field_invalid":
            named = [_reason_of(each.value) for each in call.keywords if each.arg == "reason"]
            reason = named[0] if named else "FIELD_INVALID"
            if reason:
                yield Found(reason, ONE_FIELD, SEE_FIELDS)
        elif len(call.args) >= 2 and (reason := _reason_of(call.args[1])) and self._status(call.args[0]):
            yield Found(reason, self._status(call.args[0]), self._text(call.args[2:3], around))
        elif name in self._makers:
            made = self._makers[name]
            text = self._text(call.args[1:2], around) or made.text
            for reason in self._reasons(call.args[0]):
                yield Found(reason, made.status, SEE_FIELDS if made.status == ONE_FIELD else text)

    def _functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        for node in ast.walk(self._tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node

    def _reasons(self, node: ast.expr) -> list[str]:
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            return self._tables.get(node.value.id, [])
        reason = _reason_of(node)
        return [reason] if reason else []

    def _status(self, node: ast.expr) -> str:
        if isinstance(node, ast.Name):
            return self._statuses.get(node.id, "")
        return _status_of(node)

    def _text(self, nodes: list[ast.expr], around: ast.AST) -> str:
        """Return a message with `…` for its changing words."""
        for node in nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                return node.value
            if isinstance(node, ast.JoinedStr):
                return "".join(
                    str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values
                )
            if isinstance(node, ast.Name):
                return self._assigned(node.id, around)
        return ""

    def _assigned(self, name: str, around: ast.AST) -> str:
        for node in ast.walk(around):
            if isinstance(node, ast.Assign) and [ast.unparse(each) for each in node.targets] == [name]:
                return self._text([node.value], around)
        return ""


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node


def _name_of(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _status_of(node: ast.expr) -> str:
    text = ast.unparse(node)
    return text.rpartition(".")[2] if text.startswith("grpc.StatusCode.") else ""


def _reason_of(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and _REASON.fullmatch(node.value):
        return node.value
    return ""


def document() -> str:
    """Return the whole page."""
    places: defaultdict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for pattern in SOURCES:
        owner = pattern.split("/")[1] if pattern.startswith("services/") else "every service"
        for path in sorted(ROOT.glob(pattern)):
            for found in Module(path).found():
                texts = places[found.reason, found.status]
                texts[owner] = texts.get(owner) or found.text
    rows = []
    for (reason, status), texts in sorted(places.items()):
        owners = ["every service"] if "every service" in texts else list(texts)
        text = next((text for text in texts.values() if text), "").strip()
        sentence = text if text.endswith(".") or not text else f"{text}."
        rows.append(
            f"| `{reason}` | `{status}` | {sentence[:1].upper()}{sentence[1:]} | {', '.join(owners)} |"
        )
    return HEAD + "\n".join(rows) + "\n"


def main(arguments: list[str]) -> int:
    """Write the page, or say whether it is current."""
    wanted = document()
    if arguments != ["--check"]:
        TARGET.write_text(wanted, encoding="utf-8")
        return 0
    if TARGET.exists() and TARGET.read_text(encoding="utf-8") == wanted:
        return 0
    print("docs/errors.md is not what the code says; run: python scripts/errors_doc.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
