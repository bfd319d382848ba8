"""Structured logs: one line is one event, for people or as JSON, and secrets never pass."""

import enum
import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO

import orjson
import structlog

from smarketing import wallclock

__all__ = ["LogFormat", "configure_logs", "get_log", "redacted"]

_HIDDEN = "[redacted]"
_CHATTY = ("alembic", "uvicorn")
"""Libraries whose every start is several lines; only what they warn of is passed on."""
_SECRET_KEY = re.compile(
    r"authorization|password|passwd|secret|cookie|api_?key|private_?key|dsn|^token$|_token$", re.I
)
_TOKEN = re.compile(r"(smk_[a-z0-9]{8,40}_)[A-Za-z0-9-]+")
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+(?!smk_)[\w.~+/=-]+")
_URL_PASSWORD = re.compile(r"(://[^\s:/@]*):[^\s/@]+@")

_Event = MutableMapping[str, Any]


class LogFormat(enum.StrEnum):
    """How a line looks."""

    JSON = "json"
    CONSOLE = "console"


def configure_logs(
    log_format: LogFormat = LogFormat.CONSOLE, *, level: str = "INFO", stream: TextIO | None = None
) -> None:
    """Send every event, ours and other libraries', to `stream` (standard error) as single lines."""
    to = stream or sys.stderr
    ours: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        _stamp,
        structlog.processors.format_exc_info,
        _redact,
    ]
    handler = logging.StreamHandler(to)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=ours,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _renderer(log_format)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *ours,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def get_log(name: str) -> structlog.stdlib.BoundLogger:
    """Return the log of one part of the program: `get_log(__name__).info("handoff_offered", lead=…)`."""
    log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return log


def redacted(value: Any) -> Any:
    """Return `value` with every secret in it, at any depth, made unreadable."""
    if isinstance(value, str):
        value = _TOKEN.sub(rf"\1{_HIDDEN}", value)
        value = _BEARER.sub(rf"\1 {_HIDDEN}", value)
        return _URL_PASSWORD.sub(rf"\1:{_HIDDEN}@", value)
    if isinstance(value, Mapping):
        return {
            key: _HIDDEN if _SECRET_KEY.search(str(key)) else redacted(item) for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [redacted(item) for item in value]
    if value is None or isinstance(value, int | float):
        return value
    return redacted(str(value))


def _stamp(_logger: Any, _method: str, event: _Event) -> _Event:
    event["time"] = wallclock.utc_now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return event


def _redact(_logger: Any, _method: str, event: _Event) -> _Event:
    for key, value in event.items():
        if key.startswith("_"):
            continue
        event[key] = _HIDDEN if _SECRET_KEY.search(key) else redacted(value)
    return event


def _renderer(log_format: LogFormat) -> structlog.typing.Processor:
    return _as_json if log_format is LogFormat.JSON else _as_text


def _as_json(_logger: Any, _method: str, event: _Event) -> str:
    return orjson.dumps(event, default=str).decode()


def _as_text(_logger: Any, _method: str, event: _Event) -> str:
    head = " ".join(str(event.pop(key, "")) for key in ("time", "level", "logger", "event"))
    # A line break inside a value would make one event look like two.
    tail = " ".join(f"{key}={orjson.dumps(value, default=str).decode()}" for key, value in event.items())
    return f"{head} {tail}".rstrip().replace("\r", "\\r").replace("\n", "\\n")
