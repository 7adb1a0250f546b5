"""``python -m infra deploy|undeploy ENV``, and ``mwaa``; errors are one message, not a traceback."""

import sys
from collections.abc import Sequence

from botocore.exceptions import BotoCoreError, ClientError

from infra import deploy, mwaa, undeploy
from infra.errors import InfraError

COMMANDS = {"deploy": deploy.main, "mwaa": mwaa.main, "undeploy": undeploy.main}


def main(argv: Sequence[str]) -> int:
    """Run a command; return 2 when it failed, 1 when a person said no."""
    if not argv or argv[0] not in COMMANDS:
        print("usage: python -m infra deploy|undeploy ENV, or mwaa [--help]", file=sys.stderr)
        return 2
    try:
        return COMMANDS[argv[0]](argv[1:])
    except (InfraError, BotoCoreError, ClientError) as error:
        print(f"error: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("\nBroken off. The same command goes on from here.", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
