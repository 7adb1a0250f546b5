"""Speed of step 1 against the usual notebook, the bare loop and its peers, and the cost of growth: `make bench`.

Each measurement is a fresh process that first starts its framework; then the clock runs until the output is committed.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import agreement, growth
from benchmarks.figures import Figures, Measured
from benchmarks.job import Embeddings
from benchmarks.workload import ROOT, Workload, default_photos, default_weights, embeddings, find_batch

# name: how benchmarks.run starts it, and the precision of its extractor
CONTENDERS = {
    "notebook": ("notebook", "f32"),
    "bare": ("bare", "f32"),
    "bare-threads": ("bare-threads", "f32"),
    "bare-int8": ("bare", "int8"),
    "f32": ("ours", "f32"),
    "int8": ("ours", "int8"),
    "ray": ("ray", "f32"),
    "ray-ours": ("ray-ours", "f32"),
    "daft": ("daft", "f32"),
    "daft-ours": ("daft-ours", "f32"),
}
USUAL = ("notebook", "bare", "f32", "int8")
PEERS = ("ray", "ray-ours", "daft", "daft-ours")
PEERS_PYTHON = ROOT / ".venv-peers" / "bin" / "python"  # made by `make bench PEERS=1`
WARM_UP = 24  # photos


def main(argv: Sequence[str] | None = None) -> None:
    args = _parse(argv)
    with tempfile.TemporaryDirectory(prefix="orchard-bench-") as folder:
        workload = Workload(args.photos.resolve(), args.weights, Path(folder).resolve())
        if args.profile:
            for size in args.sizes:
                for contender in args.contenders:
                    if CONTENDERS[contender][0] == "ours":
                        _profile(workload, contender, size)
            return
        figures, found = _measure(workload, args.contenders, args.sizes, args.rounds)
    print(f"\n{figures.table()}\n\n{figures.promises()}\n\n{agreement.check(found)}\n")
    if args.markdown:
        print(f"{figures.markdown()}\n")
    if args.json:
        args.json.write_text(json.dumps(figures.as_json(), indent=1))
    if not args.no_growth:
        print(growth.measure(rounds=args.rounds))


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--sizes", type=_numbers, default=[2_000, 10_000], metavar="N,N", help="photos (default: 2000,10000)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="contenders alternate, so often (default: 3)")
    parser.add_argument(
        "--contenders",
        type=_contenders,
        metavar="NAME,NAME",
        help=f"of {', '.join(CONTENDERS)} (default: {','.join(USUAL)})",
    )
    parser.add_argument("--peers", action="store_true", help=f"and {', '.join(PEERS)} (make bench PEERS=1)")
    parser.add_argument(
        "--photos", type=Path, default=None, metavar="DIR", help="*.jpg in one folder a label (default: see README.md)"
    )
    parser.add_argument(
        "--weights", default=default_weights(), metavar="FILE|imagenet|random:SEED", help="default: %(default)s"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every measurement to a file, too")
    parser.add_argument("--markdown", action="store_true", help="print the README's table, too")
    parser.add_argument("--profile", action="store_true", help="say where ours spends its fixed seconds; no comparison")
    parser.add_argument("--no-growth", action="store_true", help="leave out what one more batch costs a PCA")
    args = parser.parse_args(argv)
    args.contenders = list(dict.fromkeys([*(args.contenders or USUAL), *(PEERS if args.peers else ())]))
    if (peers := [name for name in args.contenders if name in PEERS]) and not PEERS_PYTHON.exists():
        parser.error(f"{', '.join(peers)}: no {PEERS_PYTHON}, which `make bench PEERS=1` makes")
    args.photos = args.photos or default_photos()
    return args


def _numbers(text: str) -> list[int]:
    return sorted({int(number) for number in text.split(",")})


def _contenders(text: str) -> list[str]:
    if unknown := [name for name in text.split(",") if name not in CONTENDERS]:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; expected some of {', '.join(CONTENDERS)}")
    return text.split(",")


def _measure(
    workload: Workload, contenders: Sequence[str], sizes: Sequence[int], rounds: int
) -> tuple[Figures, dict[str, Embeddings]]:
    first: dict[str, Embeddings] = {}
    for contender in contenders:
        print(f"{WARM_UP} photos, not measured: {contender}", file=sys.stderr, flush=True)
        _one(workload, contender, WARM_UP, 0, first)
    print(agreement.check(first), file=sys.stderr, flush=True)
    measured: list[Measured] = []
    found: dict[str, Embeddings] = {}
    for number in range(rounds):
        for size in sizes:
            for contender in contenders:
                measured.append(_one(workload, contender, size, number, found))
                print(f"round {number + 1}: {measured[-1]}", file=sys.stderr, flush=True)
    return Figures(measured), found


def _one(workload: Workload, contender: str, size: int, number: int, found: dict[str, Embeddings]) -> Measured:
    """Measure once, and keep the embeddings of a contender of which there are none yet."""
    start, precision = CONTENDERS[contender]
    job = workload.job(precision, size, f"{contender}-{size}-{number}")
    if start == "ours":
        find_batch(job)
    result = _run(start, job)
    if contender not in found:
        found[contender] = embeddings(job)
    shutil.rmtree(job.out)
    return Measured(contender, size, result["seconds"], result["cpu_seconds"], result["peak_bytes"])


def _profile(workload: Workload, contender: str, size: int) -> None:
    job = workload.job(CONTENDERS[contender][1], size, f"{contender}-{size}-traced")
    find_batch(job)
    result = _run("ours-traced", job)
    print(f"\n{contender}, {size:,} photos: {result['seconds']:.2f} s, {result['cpu_seconds']:.1f} CPU s")
    for event, seconds in result["trace"]:
        print(f"{seconds:8.2f} s  {event}")


def _run(start: str, job: Any) -> dict[str, Any]:
    """Measure in a fresh process."""
    command = [_python(start), "-m", "benchmarks.run", start, "--photos", job.photos, "--weights", job.weights]
    command += ["--artefact", job.artefact, "--out", job.out]
    environment = _environment(job.out.parent)
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{start} failed:\n{done.stdout}{done.stderr}")
    time.sleep(1)  # a JVM ends a little after its driver
    result: dict[str, Any] = json.loads(done.stdout.rstrip().rpartition("\n")[2])
    return result


def _python(start: str) -> str:
    return str(PEERS_PYTHON) if start in PEERS else sys.executable


def _environment(work: Path) -> dict[str, str]:
    """Let Python keep what it compiles, beside the outputs: else whoever starts most processes pays most for it."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(work / "bytecode")}


if __name__ == "__main__":
    main()
