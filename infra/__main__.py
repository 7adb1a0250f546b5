"""Commands of a deployment: ``python -m infra COMMAND``; errors are one message, not a traceback."""

import sys
from collections.abc import Sequence

from botocore.exceptions import BotoCoreError, ClientError

from infra import deploy, mwaa, undeploy
from infra.errors import InfraError

COMMANDS = {
    "deploy": (deploy.main, "bring an environment's stack, extractor and wheels up to date"),
    "undeploy": (undeploy.main, "take all away but the data; or those, too"),
    "mwaa": (mwaa.main, "what Amazon's managed Airflow is to be given"),
}


def main(argv: Sequence[str]) -> int:
    """Run a command; return 2 when it failed, 1 when a person said no."""
    if not argv or argv[0] not in COMMANDS:
        print("usage: python -m infra COMMAND [--help]\n")
        print("\n".join(f"  {name:10} {what}" for name, (_, what) in COMMANDS.items()))
        return 0 if list(argv[:1]) in (["--help"], ["-h"]) else 2
    try:
        run, _ = COMMANDS[argv[0]]
        return run(argv[1:])
    except (InfraError, BotoCoreError, ClientError) as error:
        print(f"error: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("\nBroken off. The same command goes on from here.", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
