"""One measurement, in a process of its own: `python -m benchmarks.run CONTENDER ...` prints a line of JSON.

The contender first starts its framework; only then the clock does.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import tracing
from benchmarks.job import Job, Step, one_thread_each
from benchmarks.meter import Meter


def _notebook(job: Job) -> Step:
    from benchmarks import notebook

    return notebook.start(job)


def _bare(job: Job) -> Step:
    from benchmarks import bare

    one_thread_each()
    return bare.start(job)


def _bare_threads(job: Job) -> Step:
    from benchmarks import bare

    one_thread_each()
    return bare.start_threads(job)


def _ours(job: Job) -> Step:
    from benchmarks import ours

    return ours.start(job)


def _ours_traced(job: Job) -> Step:
    from benchmarks import ours

    return ours.start_traced(job)


def _ray(job: Job) -> Step:
    from benchmarks.peers import ray_data

    return ray_data.start(job)


def _ray_ours(job: Job) -> Step:
    from benchmarks.peers import ray_data

    one_thread_each()
    return ray_data.start_ours(job)


def _daft(job: Job) -> Step:
    from benchmarks.peers import daft_frame

    return daft_frame.start(job)


def _daft_ours(job: Job) -> Step:
    from benchmarks.peers import daft_frame

    one_thread_each()
    return daft_frame.start_ours(job)


STARTS: dict[str, Callable[[Job], Step]] = {
    "notebook": _notebook,
    "bare": _bare,
    "bare-threads": _bare_threads,
    "ours": _ours,
    "ours-traced": _ours_traced,
    "ray": _ray,
    "ray-ours": _ray_ours,
    "daft": _daft,
    "daft-ours": _daft_ours,
}


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("start", choices=STARTS)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--artefact", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(argv)
    step = STARTS[args.start](Job(args.photos, args.weights, args.artefact, args.out))
    with Meter() as meter:
        step()
    measured = {"seconds": meter.seconds, "cpu_seconds": meter.cpu_seconds, "peak_bytes": meter.peak_bytes}
    if args.start == "ours-traced":
        measured["trace"] = tracing.read(args.out, meter.started_at)  # type: ignore[assignment]
    print("\n" + json.dumps(measured), flush=True)


if __name__ == "__main__":
    main()
