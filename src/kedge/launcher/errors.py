"""What can go wrong around a user's function.

LauncherError
├── StepError        the step's own fault: counts against its retries
├── HubUnreachable   nobody's fault: the infrastructure's retries
└── NotWanted        the hub wants no result of this attempt any more
"""

from __future__ import annotations


class LauncherError(Exception):
    """The step cannot go on; says what, where, why and how to fix it.

    Args:
        message: For a person.
        kind: One CamelCase word for programs; by default the class's name.
    """

    exit_code = 1

    def __init__(self, message: str, kind: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.kind = kind or type(self).__name__


class StepError(LauncherError):
    """The user's step does not do what its declaration says."""


class HubUnreachable(LauncherError):
    """The hub did not answer for as long as a restart may take."""

    exit_code = 69  # EX_UNAVAILABLE


class NotWanted(LauncherError):
    """Cancelled, or another attempt took this one's place: end quietly."""

    exit_code = 75  # EX_TEMPFAIL
