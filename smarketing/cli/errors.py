"""How a command that did not work says so: what was refused, why, where, and what to do."""

import grpc
import orjson

from smarketing.cli.output import plain
from smarketing.cli.session import Exit, Session
from smarketing.client import CallError, DeniedError, UnavailableError

__all__ = ["exit_code_of", "show_call_error"]

_HEADINGS = {
    Exit.REFUSED: "Refused",
    Exit.DENIED: "Not allowed",
    Exit.UNAVAILABLE: "No answer",
}


def exit_code_of(error: CallError) -> Exit:
    """Return what the command ends with."""
    if isinstance(error, DeniedError):
        return Exit.DENIED
    return Exit.UNAVAILABLE if isinstance(error, UnavailableError) else Exit.REFUSED


def show_call_error(session: Session, command: str, error: CallError) -> None:
    """Write the error on standard error; with `--format json` as one document."""
    if session.wants_json:
        session.err.file.write(orjson.dumps(_document(command, error)).decode() + "\n")
        return
    lines = [f"{_HEADINGS[exit_code_of(error)]}: {command}", f"  reason: {error.reason or error.code.name}"]
    lines += [f"  field:  {each.field}: {each.description}" for each in error.field_violations]
    lines += [f"  do:     {_advice(error)}"]
    for line in lines:
        session.err.print(plain(line), soft_wrap=True)


def _document(command: str, error: CallError) -> dict[str, object]:
    return {
        "error": {
            "command": command,
            "code": error.code.name,
            "reason": error.reason,
            "message": error.message,
            "metadata": dict(error.metadata),
            "field_violations": [
                {"field": each.field, "description": each.description} for each in error.field_violations
            ],
        }
    }


def _advice(error: CallError) -> str:
    if error.code is grpc.StatusCode.UNAVAILABLE and not error.reason:
        return (
            f"See that the service runs and its address is right, then repeat the command. ({error.message})"
        )
    if error.code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return "Repeat the command, with a larger --timeout if the service is slow."
    if error.code is grpc.StatusCode.UNAUTHENTICATED:
        return f"Give a valid token with --token-file or SMARKETING_TOKEN_FILE. ({error.message})"
    return error.message or "Repeat the command; when it fails again, give this to your operator."
