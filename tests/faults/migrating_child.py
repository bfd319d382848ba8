"""A process to be killed: migrates a database, and dies after so many statements of it."""

import os
import signal
import sys

from sqlalchemy import event

from smarketing.sql import migrate, open_database


def main(url: str, package: str, statements: int) -> None:
    """Migrate, and die before the statement of this number; 0 lives."""
    with open_database(url) as database:
        left = statements

        def count(*_args: object) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        event.listen(database.writer_engine, "before_cursor_execute", count)
        migrate(database, package)
    sys.stdout.write(f"{statements - left}\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
