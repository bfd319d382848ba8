"""Who may do what to a directory: one line per RPC, part of the service's policy."""

from typing import Final

from smarketing.server.auth import Role
from smarketing.server.policy import Allow, Policy

__all__ = ["DIRECTORY_ITEMS", "DIRECTORY_POLICY"]

_SERVICE: Final = "/smarketing.api.leads.v1.DirectoryService"

DIRECTORY_POLICY: Final[Policy] = {
    f"{_SERVICE}/GetDirectory": Allow(*Role),
    f"{_SERVICE}/ApplyDirectory": Allow(Role.OPERATOR, mutation=True),
    f"{_SERVICE}/IssueToken": Allow(Role.OPERATOR, mutation=True),
    f"{_SERVICE}/RevokeToken": Allow(Role.OPERATOR, mutation=True),
    f"{_SERVICE}/ListTokens": Allow(Role.OPERATOR),
}

DIRECTORY_ITEMS: Final = {"smarketing.api.leads.v1.Directory.people": 10_000}
"""Lists of the directory's messages that may be longer than usual; for the server's `Limits.items_of`."""
