"""``make demo``: the whole pipeline on this machine, day by day, and what it made."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from local.demo import machine
from local.demo.home import Home, HomeError
from local.demo.run import Demo, Given
from local.demo.screen import Screen
from local.demo.story import StoryError
from local.demo.watch import RunFailedError
from local.export import ExportError
from local.stack import StackError
from local.standalone import AirflowError

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_GRACE_SECONDS = 5.0  # that processes have to end by themselves when they were told to


class Stopped(BaseException):
    """A signal asks the demo to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m local.demo", description="Runs the whole pipeline for real, on this machine, and shows it."
    )
    made.add_argument("--photos", type=Path, help="a folder of photos, one folder a label (default: rendered samples)")
    made.add_argument("--weights", help="a file of MobileNetV2's (default: ImageNet's, else EfficientNet-Lite0's)")
    made.add_argument("--detach", action="store_true", help="end after the story; default: stay up until Ctrl-C")
    made.add_argument("--port", type=int, help=f"of Airflow's UI (default: {machine.AIRFLOW}, or a free one)")
    made.add_argument("--aws-port", type=int, help=f"of S3, Glue and the rest (default: {machine.AWS}, or a free one)")
    made.add_argument("--emr-port", type=int, help=f"of EMR and its pages (default: {machine.EMR}, or a free one)")
    made.add_argument("--data", type=Path, default=Path(".orchard/demo"), help="the demo's folder (%(default)s)")
    made.add_argument("--per-label", type=int, default=40, metavar="N", help="sample photos a fruit (%(default)s)")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Return 0, 1 when something failed, 2 when the demo cannot start, 128 and the signal that ended it too early."""
    args = parser().parse_args(argv)
    for name in [name for name in os.environ if name.startswith(("AWS_", "AIRFLOW_"))]:
        del os.environ[name]  # a developer's own; nothing here is to touch it
    for name in ("no_proxy", "NO_PROXY"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), "localhost,127.0.0.1"]))
    for number in _SIGNALS:
        signal.signal(number, _stop)
    screen, home = Screen(), Home(args.data.absolute())
    demo = None
    try:
        given = Given.check(args.photos, args.weights, args.per_label)
        ports = machine.choose(args.port, args.aws_port, args.emr_port)
        with home.taken(f"http://localhost:{ports.airflow}"), ExitStack() as stack:
            demo = Demo(given, home, ports, screen)
            try:
                demo.tell(stack)
                demo.leave() if args.detach else demo.stay()
            finally:
                _deaf()  # once it stops, it stops
                stack.close()
                home.kill_processes(_GRACE_SECONDS)
                screen.say(f"\n{screen.clock:>5}  Everything is stopped.")
    except Stopped as stop:
        return 0 if demo is not None and demo.told else 128 + stop.number
    except (machine.PortError, HomeError, StoryError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (machine.DiedError, RunFailedError, ExportError, StackError, AirflowError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _stop(number: int, _frame: FrameType | None) -> None:
    _deaf()
    os.write(1, b"\nStopping...\n")  # print may be what was interrupted
    raise Stopped(number)


def _deaf() -> None:
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


if __name__ == "__main__":
    sys.exit(main())
