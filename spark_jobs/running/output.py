"""Output: what a command prints, when nobody reads it to its end (``recognise ... | head``)."""

import os
import sys
from collections.abc import Callable

BROKEN_PIPE = 141  # what a shell says of a program that SIGPIPE ended: 128 + 13


def end(main: Callable[[], int]) -> None:
    """Call a command and end the process with its status; a reader that has enough is no error worth a traceback."""
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more at its end: https://docs.python.org/3/library/signal.html#note-on-sigpipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = BROKEN_PIPE
    sys.exit(status)
