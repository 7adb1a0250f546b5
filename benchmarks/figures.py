"""Figures: medians of what was measured, their table, and the promises that they keep or break."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

NAMES = {
    "notebook": "the usual notebook",
    "ray": "Ray Data as documented, Keras",
    "daft": "Daft as documented, Keras",
    "ray-ours": "Ray Data, our decoder and engine",
    "daft-ours": "Daft, our decoder and engine",
    "bare": "bare loop, f32: the limit",
    "f32": "Orchard, f32",
    "int8": "Orchard, int8",
}


@dataclass(frozen=True)
class Measured:
    """One measurement."""

    contender: str
    size: int  # photos
    seconds: float
    cpu_seconds: float
    peak_bytes: int


@dataclass(frozen=True)
class Figures:
    """All measurements of a run."""

    measured: Sequence[Measured]

    @property
    def contenders(self) -> list[str]:
        return list(dict.fromkeys(one.contender for one in self.measured))

    @property
    def sizes(self) -> list[int]:
        return sorted({one.size for one in self.measured})

    def seconds(self, contender: str, size: int) -> float:
        return median(one.seconds for one in self._of(contender, size))

    def rate(self, contender: str) -> float | None:
        """Photos a second at the margin: between the smallest size and the largest."""
        small, large = self.sizes[0], self.sizes[-1]
        if small == large or not (self._of(contender, small) and self._of(contender, large)):
            return None
        return (large - small) / (self.seconds(contender, large) - self.seconds(contender, small))

    def fixed(self, contender: str) -> float | None:
        """Seconds that the step would take with no photo, by the same line through two sizes."""
        rate = self.rate(contender)
        return None if rate is None else self.seconds(contender, self.sizes[0]) - self.sizes[0] / rate

    def against(self, contender: str, peer: str, size: int) -> float | None:
        """How many times as fast as a peer."""
        if not (self._of(contender, size) and self._of(peer, size)):
            return None
        return self.seconds(peer, size) / self.seconds(contender, size)

    def of_bare(self, contender: str) -> float | None:
        """Its rate at the margin, over that of the bare loop."""
        mine, bare = self.rate(contender), self.rate("bare")
        return None if mine is None or bare is None else mine / bare

    def peak(self, contender: str) -> float | None:
        """Gigabytes beside the JVM, the most of any measurement."""
        return max((one.peak_bytes / 1e9 for one in self.measured if one.contender == contender), default=None)

    def table(self) -> str:
        head = (
            "contender",
            "photos",
            "seconds",
            "min..max",
            "CPU s",
            "MB",
            "photos/s",
            "fixed s",
            "x notebook",
            "bare",
            "/ f32",
        )
        rows = [head, *self._rows()]
        widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
        lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
        return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])

    def _rows(self) -> Iterator[tuple[str, ...]]:
        for contender in self.contenders:
            for size in self.sizes:
                if not (some := self._of(contender, size)):
                    continue
                seconds = [one.seconds for one in some]
                yield (
                    contender,
                    f"{size:,}",
                    f"{median(seconds):.2f}",
                    f"{min(seconds):.2f}..{max(seconds):.2f}",
                    f"{median(one.cpu_seconds for one in some):.1f}",
                    f"{median(one.peak_bytes for one in some) / 1e6:,.0f}",
                    _text(self.rate(contender), "{:.0f}"),
                    _text(self.fixed(contender), "{:.1f}"),
                    _text(self.against(contender, "notebook", size), "{:.2f}"),
                    _text(self.of_bare(contender), "{:.0%}"),
                    _text(self.against("f32", contender, size), "{:.2f}"),
                )

    def markdown(self) -> str:
        """Give the README's table, of the contenders that have a name there."""
        head = ["", *(f"{size:,} photos" for size in self.sizes), "photos/s at the margin", "MB beside the JVM"]
        rows = [head, ["---"] * len(head)]
        for contender, name in NAMES.items():
            if contender in self.contenders:
                sizes = [size for size in self.sizes if self._of(contender, size)]
                peaks = sorted(median(one.peak_bytes for one in self._of(contender, size)) / 1e6 for size in sizes)
                memory = " to ".join(dict.fromkeys(f"{peak:,.0f}" for peak in (peaks[0], peaks[-1])))
                seconds = [self._cell(contender, size) for size in self.sizes]
                rows.append([name, *seconds, _text(self.rate(contender), "{:.0f}"), memory])
        return "\n".join(f"| {' | '.join(row)} |".replace("|  |", "| |") for row in rows)

    def _cell(self, contender: str, size: int) -> str:
        if not self._of(contender, size):
            return ""
        times = None if contender == "notebook" else self.against(contender, "notebook", size)
        return f"{self.seconds(contender, size):.1f} s" + _text(times, " ({:.1f} x)")

    def promises(self) -> str:
        """Say of each promise whether it is kept."""
        lines = []
        for promise, figure, text, kept in _promises(self):
            verdict = "not measured" if figure is None else "met" if kept(figure) else "MISSED"
            lines.append(f"{verdict:>12}  {promise}" + ("" if figure is None else f": {text.format(figure)}"))
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        summary = {
            contender: {
                "photos_per_second": self.rate(contender),
                "fixed_seconds": self.fixed(contender),
                "of_bare": self.of_bare(contender),
                "times_notebook": {size: self.against(contender, "notebook", size) for size in self.sizes},
            }
            for contender in self.contenders
        }
        return {"measured": [asdict(one) for one in self.measured], "summary": summary}

    def _of(self, contender: str, size: int) -> list[Measured]:
        return [one for one in self.measured if (one.contender, one.size) == (contender, size)]


def _promises(figures: Figures) -> Iterator[tuple[str, float | None, str, Callable[[float], bool]]]:
    for contender, size, times in (("f32", 2_000, 6.5), ("f32", 10_000, 5.0), ("int8", 10_000, 7.0)):
        ratio = figures.against(contender, "notebook", size)
        yield f"{contender} at {size:,} photos: at least {times} x notebook", ratio, "{:.2f} x", times.__le__
    for peer, name in (("ray-ours", "Ray Data"), ("daft-ours", "Daft")):
        ratio = figures.against("f32", peer, 10_000)
        yield f"f32 at 10,000 photos: at least 1.25 x {name} with the same engine", ratio, "{:.2f} x", (1.25).__le__
    yield "f32: fixed cost at most 4 s", figures.fixed("f32"), "{:.2f} s", (4.0).__ge__
    yield "f32: at the margin at least 92% of the bare loop", figures.of_bare("f32"), "{:.1%}", (0.92).__le__
    yield "f32: under 1.5 GB beside the JVM", figures.peak("f32"), "{:.2f} GB", (1.5).__gt__


def _text(figure: float | None, form: str) -> str:
    return "" if figure is None else form.format(figure)
