"""Every reason for which the directory says no.

DirectoryRefused
├── DirectoryInvalid    the wanted directory has faults
├── DirectoryStale      it was changed since the caller read it
├── TenantUnknown
├── PrincipalUnknown
└── TokenUnknown
"""

from collections.abc import Sequence

from services.leads.domain.directory_faults import Fault

__all__ = [
    "DirectoryInvalid",
    "DirectoryRefused",
    "DirectoryStale",
    "PrincipalUnknown",
    "TenantUnknown",
    "TokenUnknown",
]


class DirectoryRefused(Exception):
    """The directory does not do what was asked."""


class DirectoryInvalid(DirectoryRefused):
    """The wanted directory cannot be: `faults` has everything that is wrong with it."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(f"{fault.path} {fault.description}" for fault in faults))
        self.faults = tuple(faults)


class DirectoryStale(DirectoryRefused):
    """The caller's etag is not the present one."""

    def __init__(self, directory: str, etag: str) -> None:
        super().__init__(f"{directory} is at etag {etag}")
        self.directory = directory
        self.etag = etag
        """The present one."""


class TenantUnknown(DirectoryRefused):
    """There is no such tenant."""

    def __init__(self, tenant: str) -> None:
        super().__init__(f"{tenant} is unknown")
        self.tenant = tenant


class PrincipalUnknown(DirectoryRefused):
    """There is no such person or system, or it is inactive."""

    def __init__(self, principal: str) -> None:
        super().__init__(f"{principal} is unknown or inactive")
        self.principal = principal


class TokenUnknown(DirectoryRefused):
    """There is no such token."""

    def __init__(self, token: str) -> None:
        super().__init__(f"{token} is unknown")
        self.token = token
