"""What each architecture costs: size of its artefact, and photos a second of its network on one core.

    python -m benchmarks.networks

Pixels are at hand: reading, decoding and resizing, about a millisecond for a photo of 100 x 100, are the same for all.
Weights are random, as they cost what real ones do. Prints docs/recognition.md's table.
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.workload import artefact
from spark_jobs.extractor.architectures import ARCHITECTURES
from spark_jobs.extractor.artefact import Extractor
from spark_jobs.extractor.engines import Engine, OpenVINOEngine, Pixels, open_engine


@dataclass(frozen=True)
class Network:
    """A network that is ready, and what it is measured with."""

    extractor: Extractor
    megabytes: float
    engine: Engine
    pixels: Pixels

    @classmethod
    def of(cls, name: str, photos: int) -> "Network":
        path = artefact("f32", "random:0", None, name)
        extractor = Extractor.load(path)
        width, height = extractor.input_size
        pixels = np.random.default_rng(0).integers(0, 256, (photos, height, width, 3), dtype=np.uint8)
        return cls(extractor, path.stat().st_size / 1e6, open_engine(extractor), pixels)

    def rate(self) -> float:
        """Measure photos a second of CPU time, once: other work on the machine counts less so."""
        started = time.process_time()
        self.engine.embed(self.pixels)
        return len(self.pixels) / (time.process_time() - started)

    def row(self, rates: Sequence[float]) -> str:
        spec = self.extractor.spec
        width, height = spec.input_size
        return (
            f"| `{spec.architecture}` | {self.megabytes:.0f} | {spec.dimension:,} | {width} x {height} | "
            f"{statistics.median(rates):.0f} ({min(rates):.0f} to {max(rates):.0f}) |"
        )


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.networks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(ARCHITECTURES)} (default: all)")
    parser.add_argument("--photos", type=int, default=32, help="in each round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="networks alternate, so often (default: %(default)s)")
    args = parser.parse_args(argv)
    if unknown := [name for name in args.names if name not in ARCHITECTURES]:
        parser.error(f"unknown: {', '.join(unknown)}; expected some of {', '.join(ARCHITECTURES)}")
    networks = [Network.of(name, args.photos) for name in args.names or ARCHITECTURES]
    rates = [[network.rate() for network in networks] for _ in range(args.rounds)]
    cpu = OpenVINOEngine.library().Core().get_property("CPU", "FULL_DEVICE_NAME")
    print(f"One thread of {cpu}, f32; photos a second of its time: median of {args.rounds} rounds, and their range.\n")
    print("| architecture | artefact, MB | numbers | input | photos/s |\n|---|---|---|---|---|")
    for number, network in enumerate(networks):
        print(network.row([one[number] for one in rates]))


if __name__ == "__main__":
    main()
