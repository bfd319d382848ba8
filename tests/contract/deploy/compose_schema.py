"""What may stand in our compose files: every key of the specification that they use, and no other."""

from typing import Any, Final

_TEXT: Final = {"type": "string", "minLength": 1}
_TEXTS: Final = {"type": "array", "items": _TEXT, "minItems": 1}
_SPAN: Final = {"type": "string", "pattern": r"^[0-9]+(s|m|h)$"}
_SIZE: Final = {"type": "string", "pattern": r"^[0-9]+(m|g)$"}
_PORT: Final = {"type": "string", "pattern": r"^(127\.0\.0\.1:)?[0-9]+:[0-9]+$"}


def _closed(required: tuple[str, ...] = (), /, **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _named(value: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "patternProperties": {r"^[a-zA-Z0-9._-]+$": value},
        "additionalProperties": False,
    }


_DEPENDENCY: Final = _closed(("condition",), condition={"enum": ["service_healthy", "service_started"]})

_SERVICE: Final = _closed(
    ("image", "restart"),
    image=_TEXT,
    restart={"enum": ["unless-stopped", "no"]},
    command=_TEXTS,
    environment=_named({"type": "string"}),
    init={"type": "boolean"},
    read_only={"type": "boolean"},
    user={"type": "string", "pattern": "^[0-9]+:[0-9]+$"},
    cap_drop={"const": ["ALL"]},
    security_opt=_TEXTS,
    pids_limit={"type": "integer", "minimum": 1},
    mem_limit=_SIZE,
    shm_size=_SIZE,
    stop_grace_period=_SPAN,
    tmpfs=_TEXTS,
    volumes=_TEXTS,
    networks=_TEXTS,
    secrets=_TEXTS,
    profiles=_TEXTS,
    ports={"type": "array", "items": _PORT, "minItems": 1},
    configs={"type": "array", "items": _closed(("source", "target"), source=_TEXT, target=_TEXT)},
    depends_on=_named(_DEPENDENCY),
    logging=_closed(("driver",), driver=_TEXT, options=_named({"type": "string"})),
    healthcheck=_closed(
        ("test", "interval", "timeout", "retries"),
        test=_TEXTS,
        interval=_SPAN,
        timeout=_SPAN,
        start_period=_SPAN,
        retries={"type": "integer", "minimum": 1},
    ),
)

COMPOSE: Final = {
    **_closed(
        ("name", "services", "networks", "volumes"),
        name={"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]*$"},
        services=_named(_SERVICE),
        networks=_named(_closed()),
        volumes=_named(_closed()),
        secrets=_named(_closed(("file",), file=_TEXT)),
        configs=_named(_closed(("content",), content=_TEXT)),
    ),
    # Extensions: what several services say is written once there.
    "patternProperties": {"^x-": {}},
}
