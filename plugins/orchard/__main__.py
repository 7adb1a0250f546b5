"""Commands for where Airflow runs: ``python -m orchard COMMAND``, each a module of its own with ``main(argv)``."""

import os
import sys
from importlib import import_module

COMMANDS = {
    "doctor": "check that all is there that a run needs, and say what to do about what is not",
    "estimate": "minutes and dollars of a number of photos",
    "prices": "the price list; --refresh asks AWS",
    "rollback": "the lake as it was when a run ended",
    "settings": "all that is wrong with a file of settings, and the JSON schema for editors",
}


def main(argv: list[str]) -> int:
    """Run a command."""
    if not argv or argv[0] not in COMMANDS:
        print("usage: python -m orchard COMMAND [--help]\n")
        print("\n".join(f"  {name:10} {what}" for name, what in COMMANDS.items()))
        return 0 if argv[:1] in (["--help"], ["-h"]) else 2
    try:
        status = int(import_module(f"orchard.commands.{argv[0]}").main(argv[1:]))
        sys.stdout.flush()
    except BrokenPipeError:  # `| head` has read enough; Python flushes once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
