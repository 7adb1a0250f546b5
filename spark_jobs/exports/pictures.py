"""Pictures: the table of variance, drawn and written, and a map of the photos in their first two coordinates.

Labels are people's: they are drawn as they are, whatever they hold, and never as a formula.
"""

import io
import warnings
from collections.abc import Callable, Mapping, Sequence

import matplotlib as mpl
import numpy as np
import obstore
import pyarrow as pa
import pyarrow.csv
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from obstore.store import ObjectStore
from pyspark.sql import functions as F

from spark_jobs.exact.basis import Basis
from spark_jobs.exact.moments import Moments
from spark_jobs.exports import plain_files as exports
from spark_jobs.running import objects
from spark_jobs.running.unmade import Unmade
from spark_jobs.tables.lake import Lake, run_in

_DOTS = 4_000  # of the map
# What is read for it at most: a day must not cost what the lake holds.
_READ = 200_000  # photos
_RUNS = 100  # each of which has a file of its own
_NAMED = 24  # labels that get a colour and their name in the map; more would cover, and look like, each other
_LONGEST = 40  # characters of a name


def update(
    lake: Lake, extractor_id: str, basis: Basis, total: Moments, placed: Mapping[str, int], unmade: Unmade
) -> list[str]:
    """Write ``variance.csv``, and ``variance`` and ``map`` as PNG and SVG, beside the exports; return their paths.

    Parameters
    ----------
    placed : Mapping of str to int
        Rows of each run in `coordinates`.
    unmade : Unmade
        Gets what could not be made: one picture does not stand in the way of another.
    """
    here = exports.folder(extractor_id, basis.basis_id)
    store = objects.open_root(lake.location.root)
    rows = variance_table(basis)
    written = []
    with unmade.telling("variance.csv"):
        table = io.BytesIO()
        pa.csv.write_csv(rows, table)
        obstore.put(store, f"{here}/variance.csv", table.getvalue())
        written.append(f"{here}/variance.csv")
    with unmade.telling("picture of the variance"):
        written += _draw(store, f"{here}/variance", lambda axes: _draw_variance(axes, rows, basis))
    with unmade.telling("map"):
        points = _sample(lake, extractor_id, basis.basis_id, placed)
        means = basis.project(total.means.astype(np.float32))
        written += _draw(store, f"{here}/map", lambda axes: _draw_map(axes, points, means, total, basis))
    return [f"{lake.location.root}/{path}" for path in written]


def variance_table(basis: Basis) -> pa.Table:
    """Tabulate component (from 1), eigenvalue, explained and cumulative share of the variance."""
    explained = basis.explained
    return pa.table(
        {
            "component": np.arange(1, len(explained) + 1),
            "eigenvalue": basis.eigenvalues[: len(explained)],
            "explained": explained,
            "cumulative": np.cumsum(explained),
        }
    )


def print_table(rows: pa.Table, head: int = 20) -> str:
    """Format the table of variance; of a long one the first and the last rows."""
    lines = [f"{'component':>9} {'eigenvalue':>12} {'explained':>10} {'cumulative':>10}"]
    for row in rows.to_pylist():
        if row["component"] <= head or row["component"] > rows.num_rows - 3:
            lines.append(
                f"{row['component']:>9} {row['eigenvalue']:>12.4f} {row['explained']:>10.2%} {row['cumulative']:>10.2%}"
            )
        elif row["component"] == head + 1:
            lines.append(f"{'...':>9} {rows.num_rows - head - 3} more, all of them in variance.csv")
    return "\n".join(lines)


def _sample(lake: Lake, extractor_id: str, basis_id: str, placed: Mapping[str, int]) -> pa.Table:
    """Take some photos: label, and the first two coordinates (0 where there is but one).

    Of all runs, or of one in several; of these the newest.
    """
    rows = lake.single_rows("moments", "created_at", extractor_id=extractor_id)
    newest = [row.run_id for row in sorted(rows, key=lambda row: row.created_at, reverse=True) if row.run_id in placed]
    runs = _some(newest, placed)
    read = sum(placed[run] for run in runs)
    part = lake.table("coordinates", extractor_id=extractor_id, basis_id=basis_id).where(run_in(runs))
    every = max(read // _DOTS, 1)
    dots = part.where(F.pmod(F.crc32("uri"), F.lit(every)) == 0)
    second = F.coalesce(F.try_element_at("coordinates", F.lit(2)), F.lit(0.0)).cast("float")
    frame = dots.select("label", F.element_at("coordinates", 1).alias("x"), second.alias("y")).orderBy("uri").toPandas()
    return pa.Table.from_pandas(frame, preserve_index=False)


def _some(newest: Sequence[str], placed: Mapping[str, int]) -> list[str]:
    """Choose runs to read, given all of them, the newest first."""
    runs: list[str] = []
    read = 0
    for run in newest[:: -(-len(newest) // _RUNS) or 1]:
        if not runs or read + placed[run] <= _READ:
            runs.append(run)
            read += placed[run]
    return runs


def _draw_variance(axes: Axes, rows: pa.Table, basis: Basis) -> None:
    component = rows["component"].to_numpy()
    axes.bar(component, 100 * rows["explained"].to_numpy(), width=1.0, color="tab:blue", alpha=0.6, label="a component")
    axes.step(component, 100 * rows["cumulative"].to_numpy(), where="mid", color="tab:red", label="cumulative")
    axes.set(
        xlabel="principal component", ylabel="explained variance, %", xlim=(0.5, len(component) + 0.5), ylim=(0, 102)
    )
    axes.set_title(
        f"{len(component)} components hold {rows['cumulative'][-1].as_py():.1%} of {basis.count:,} photos' variance"
    )
    axes.grid(alpha=0.3)
    axes.legend(loc="center right")


def _draw_map(axes: Axes, points: pa.Table, means: np.ndarray, total: Moments, basis: Basis) -> None:
    labels = np.asarray(points["label"].to_pylist(), dtype=object)
    x, y = points["x"].to_numpy(), points["y"].to_numpy()
    most = np.sort(np.argsort(-total.counts, kind="stable")[:_NAMED])
    chosen = set(most.tolist())
    others = np.isin(labels, [label for number, label in enumerate(total.labels) if number not in chosen])
    axes.scatter(x[others], y[others], s=9, color="0.75", alpha=0.4, linewidths=0)
    colours = mpl.colormaps["turbo"](np.linspace(0.03, 0.97, len(most)))
    for number, colour in zip(most, colours, strict=True):
        here = labels == total.labels[number]
        axes.scatter(x[here], y[here], s=9, color=colour, alpha=0.6, linewidths=0)
    for number, colour in zip(most, colours, strict=True):
        box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": colour, "alpha": 0.8}
        at = (means[number][0], means[number][1] if means.shape[1] > 1 else 0.0)
        name = axes.annotate(
            shown(total.labels[number]), at, fontsize=7, ha="center", va="center", bbox=box, parse_math=False
        )
        name.set_in_layout(False)  # long names would take the room of the dots
    explained = [*basis.explained, 0.0]
    axes.set(xlabel=f"first coordinate ({explained[0]:.1%})", ylabel=f"second coordinate ({explained[1]:.1%})")
    named = f"; named are the {len(most)} with most photos" if len(most) < len(total.labels) else ""
    axes.set_title(f"{points.num_rows:,} of {total.count:,} photos, {len(total.labels)} labels{named}")
    axes.grid(alpha=0.3)


def shown(label: str) -> str:
    """Return a label as it is drawn: what cannot be printed by escapes, and of a long one its beginning."""
    name = "".join(c if c.isprintable() or c == "\u200d" else c.encode("unicode_escape").decode() for c in label)
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def _draw(store: ObjectStore, name: str, draw: Callable[[Axes], None]) -> list[str]:
    # Nothing of the user's matplotlibrc. A fixed salt and no date: the same photos give the same file.
    with style.context({"svg.hashsalt": "orchard"}, after_reset=True), warnings.catch_warnings():
        # A label may be an emoji, or of a script that this font lacks.
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        warnings.filterwarnings("ignore", "Matplotlib currently does not support .* natively")
        figure = Figure(figsize=(8, 5.5), dpi=110, layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure.add_subplot())
        for kind in ("png", "svg"):
            picture = io.BytesIO()
            figure.savefig(picture, format=kind, metadata={"Date": None} if kind == "svg" else None)
            obstore.put(store, f"{name}.{kind}", picture.getvalue())
    return [f"{name}.png", f"{name}.svg"]
