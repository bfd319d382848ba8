"""The sla process: `python -m services.sla COMMAND`."""

import io
import sys
from collections.abc import Callable, Mapping, Sequence


def main(argv: Sequence[str]) -> int:
    """Run a command and return the exit status; each command loads only what it needs."""
    command = COMMANDS.get(argv[0]) if argv else None
    if command is None:
        sys.stderr.write(f"usage: python -m services.sla {{{','.join(COMMANDS)}}}\n")
        return 2
    return command(argv[1:])


def evaluate(_arguments: Sequence[str]) -> int:
    """Answer the cases on the standard input, without gRPC and SQL; 1 when one of them was bad."""
    from services.sla.usecases.offline import evaluate_lines

    with io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="\n", write_through=False) as out:
        return 0 if evaluate_lines(sys.stdin.buffer, out) else 1


COMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = {"evaluate": evaluate}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
