import base64
import io
import tomllib
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image
from pyiceberg.catalog import Catalog

import orchard
from orchard import aws as airflow_aws
from orchard.lake.tables import BATCHES, RUNS, open_catalog
from orchard.report import fits
from orchard.report.figures import NONE
from orchard.report.page import Report, gather, render
from spark_jobs.exact.basis import KEEP
from spark_jobs.exact.moments import Moments
from tests.conftest import RunLocal
from tests.lakes import sample

REPOSITORY = Path(__file__).resolve().parents[3]
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
RUN_URL = "http://localhost:8080/dags/orchard_daily/runs/manual__%22%3C1%3E"
VOID = {"br", "circle", "img", "link", "meta", "polyline"}


class Page(HTMLParser):
    """A page as a reader meets it: tiles, tables by their caption, pictures, headings, all text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.tiles: dict[str, str] = {}
        self.notes: dict[str, str] = {}
        self.tables: dict[str, list[list[str]]] = {}
        self.pictures: list[dict[str, str | None]] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self._open: list[str] = []
        self._piece = ""
        self._name = ""
        self._rows: list[list[str]] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag == "img":
            self.pictures.append(dict(attrs))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "tr":
            self._rows.append([])
        if tag == "table":
            self._rows = []
        if tag in ("dt", "dd", "caption", "td", "th"):
            self._piece = ""
        if tag == "small" and "dd" in self._open:
            self.tiles[self._name], self._piece = self._piece.strip(), ""

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        piece = " ".join(self._piece.split())
        if tag == "dt":
            self._name = piece
        elif tag == "dd":
            (self.notes if self._name in self.tiles else self.tiles)[self._name] = piece
        elif tag == "caption":
            self._caption = piece
        elif tag in ("td", "th"):
            self._rows[-1].append(piece)
        elif tag == "table":
            self.tables[self._caption] = self._rows

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.text += data
            self._piece += data

    def table(self, caption: str) -> list[list[str]]:
        """Find the table whose caption begins so; without its head."""
        (rows,) = (rows for name, rows in self.tables.items() if name.startswith(caption))
        return rows

    def check_alone(self) -> None:
        """Check that the page needs nothing but itself, and that all its pictures are described."""
        assert not self.tags & {"script", "link", "iframe", "object", "embed", "base", "form"}
        assert not [name for name, _ in self.attributes if name.startswith("on")]
        assert all(value.startswith("data:image/") for name, value in self.attributes if name == "src")
        assert {value for name, value in self.attributes if name == "href"} <= {RUN_URL}
        assert "url(" not in self.html
        assert "@import" not in self.html
        assert all(picture["alt"] for picture in self.pictures)
        assert len(self.html.encode()) < 2_000_000


def read_file(address: str) -> bytes:
    assert not address.startswith("file:")
    return Path(address).read_bytes()


FIG = {"label": "Fig", "right_before": 0, "judged_before": 0, "right_folds": 0, "judged_folds": 0}


def recognised(kind: str, share: float, photos: int) -> dict[str, Any]:
    """Make what `runs` holds of an accuracy."""
    interval = {f"accuracy_{kind}_low": max(share - 0.02, 0.0), f"accuracy_{kind}_high": min(share + 0.02, 1.0)}
    return {f"accuracy_{kind}": share, f"accuracy_{kind}_photos": photos, **interval}


@dataclass
class Tables:
    """A lake whose tables are written here, as the steps would."""

    catalog: Catalog
    root: str
    database: str = "orchard"
    row: dict[str, Any] = field(default_factory=dict)

    def put(self, name: str, rows: list[dict[str, Any]]) -> None:
        schema = {"batches": BATCHES, "runs": RUNS}.get(name)
        table = pa.Table.from_pylist(rows, schema=schema.as_arrow() if schema else None)
        if schema is None:
            nothing = [one.with_type(pa.float64()) if pa.types.is_null(one.type) else one for one in table.schema]
            table = table.cast(pa.schema(nothing))
            self.catalog.create_table_if_not_exists((self.database, name), table.schema)
        self.catalog.load_table((self.database, name)).append(table)

    def run(
        self, run_id: str = "r1", day: int = 0, photos: int | None = None, by_label: Any = None, **changed: Any
    ) -> dict[str, Any]:
        """Make a row of `runs`, and the run's recogniser where it left photos in the lake."""
        began = NOON + timedelta(days=day)
        row = {"run_id": run_id, "extractor_id": "e1", "started_at": began, "ended_at": began + timedelta(seconds=250)}
        row |= {"added": 0, "changed": 0, "deleted": 0, "embedded": 0, "rejected": 0, "cost_dollars": 0.12} | changed
        if photos:
            mine = {"extractor_id": "e1", "run_id": run_id}
            moments = Moments.of([[0.0], [1.0]] * (photos // 2), ["Fig", "Kiwi"] * (photos // 2))
            self.put("moments", [{**mine, "total": moments.pack()}])
            fitted = {"labels": ["Fig", "Kiwi"], "shrinkage": 0.25, "count": photos, "by_label": by_label or [FIG]}
            fitted["far"] = 2.345 if photos > 100 else None
            self.put("recognisers", [{**mine, **fitted}])
        return row

    def reject(self, *rejects: tuple[str, str], run_id: str = "r1", size: int = 100) -> None:
        mine = {"extractor_id": "e1", "run_id": run_id}
        self.put("rejects", [{"uri": uri, "reason": reason, **mine} for uri, reason in rejects])
        label = {"label": "<i>Fig</i>", "size": size, "action": "add"}
        self.put("batches", [{"uri": uri, **label, **mine} for uri, _ in rejects])

    def gather(self, row: dict[str, Any], read: Callable[[str], bytes] = read_file, pretend: bool = False) -> Report:
        return gather(self.catalog, self.database, row, read, root=self.root, pretend=pretend, run_url=RUN_URL)

    def page(self, row: dict[str, Any], read: Callable[[str], bytes] = read_file, pretend: bool = False) -> Page:
        page = Page(render(self.gather(row, read, pretend)))
        page.check_alone()
        return page


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    return Tables(open_catalog(str(tmp_path / "lake")), str(tmp_path / "lake"))


@pytest.fixture
def grow(run_local: RunLocal) -> Callable[..., dict[str, Any]]:
    """Do a run on a local lake; the answer is its row of `runs`."""

    def grow(photos: Path, lake: Path, *arguments: str | Path) -> dict[str, Any]:
        (run,) = run_local(photos, "--lake", lake, *arguments)
        runs = open_catalog(str(lake)).load_table(("orchard", "runs")).scan().to_arrow().to_pylist()
        (row,) = (row for row in runs if row["run_id"] == run["run_id"])
        return row

    return grow


def test_two_days_of_a_real_lake(small_artefact: Path, tmp_path: Path, grow: Callable[..., dict[str, Any]]) -> None:
    photos, lake = tmp_path / "photos", tmp_path / "lake"
    paths = sample(photos, per_label=6)
    first = grow(photos, lake, "--extractor", small_artefact, "--components", "12")
    catalog = open_catalog(str(lake))
    page = Page(render(gather(catalog, "orchard", first, read_file, root=str(lake))))
    page.check_alone()
    assert page.tiles.items() >= {"New": "24", "Embedded": "24", "Rejected": "0", "Photos in the lake": "24"}.items()
    assert "Fitted anew: first basis." in page.text
    assert "None: every photo of this run could be used." in page.text
    assert "This is the first run of this extractor." in page.text

    label = paths[0].parent
    paths[0].unlink()
    (label / "cut.jpg").write_bytes(paths[7].read_bytes()[:1500])
    (label / "new\nline 🍑 <script>alert('1')</script>".replace("/", "_")).with_suffix(".jpg").write_text("no photo")
    (label / "empty.png").touch()
    for number in range(4):
        (label / f"new {number}.jpg").write_bytes(paths[7 + number].read_bytes())
    second = grow(photos, lake, "--components", "12")
    report = gather(catalog, "orchard", second, read_file, root=str(lake) + "/")
    page = Page(render(report))
    page.check_alone()
    assert page.tiles == page.tiles | {
        "New": "7",
        "Changed": "0",
        "Deleted": "1",
        "Embedded": "4",
        "Rejected": "3",
        "Photos in the lake": "27",
        "Components": "12",
    }
    assert page.notes["Photos in the lake"] == "4 labels"
    assert page.notes["Recognised"] == "0% to 79%, no near twin learnt from"
    assert page.tiles["Recognised"].endswith(" of 4")
    labels = page.table("Labels by their photos")
    assert labels[1][:3] == [label.name, "9", "+4"]
    assert [row[1:3] for row in labels[2:]] == [["6", ""]] * 3

    variance = page.table("Variance that each component explains, and together with all before it; all 12")
    assert '<div class="wide">\n<table class="under">\n<caption>Variance' in page.html  # too wide for a telephone
    assert page.notes["Of the best"] == "the variance it captures, of what the best basis of its size would"
    assert "Drift is what this basis misses of the best one" in page.text
    assert "href" not in {name for name, _ in page.attributes}  # no Airflow has made it
    numbers = [row[0] for row in variance[1:] if row[0] != "⋯"]
    assert numbers[:10] == [*list("123456789"), "10"]
    assert numbers[-1] == "12"
    by_csv = (lake / f"exports/{second['extractor_id']}/{second['basis_id']}/variance.csv").read_text().splitlines()
    assert variance[1][2] == f"{float(by_csv[1].split(',')[2]):.2%}"
    assert variance[-1][3] == f"{float(by_csv[12].split(',')[3]):.2%}"
    plots = [picture["src"] or "" for picture in page.pictures[:2]]
    for name, plot in zip(("variance", "map"), plots, strict=True):
        drawn = (lake / f"exports/{second['extractor_id']}/{second['basis_id']}/{name}.svg").read_bytes()
        assert plot == f"data:image/svg+xml;base64,{base64.b64encode(drawn).decode()}"

    rejects = page.table("Mend or remove them")
    assert [row[1] for row in rejects[1:]] == [
        "not an image that can be read: it begins with b'no photo'",
        "the file is empty (0 bytes)",
        "truncated: the image data ends early",
    ]
    assert rejects[1][0] == "JPG8 B"
    assert rejects[1][3].endswith("/new\\nline 🍑 <script>alert('1')<_script>.jpg")
    assert rejects[2][0] == "PNG0 B"
    assert [row[2] for row in rejects[1:]] == [label.name] * 3
    (cut,) = page.pictures[2:]
    thumbnail = Image.open(io.BytesIO(base64.b64decode((cut["src"] or "").removeprefix("data:image/jpeg;base64,"))))
    assert thumbnail.format == "JPEG"
    assert max(thumbnail.size) <= 96

    # What it says of reading the lake works as it stands.
    _, _, said = page.text.partition("with time travel.")
    read: dict[str, Any] = {}
    exec(said.partition("Without a catalog: /")[0], read)
    assert (len(read["photos"]), len(read["rejects"]), len(read["plain"])) == (27, 3, 27)
    assert dict(read["labels"])[label.name] == 9

    runs = page.table("Runs of this extractor")
    assert [row[0].partition(" UTC")[2] for row in runs[1:]] == [second["run_id"], first["run_id"]]
    assert [row[1:6] for row in runs[1:]] == [["7", "0", "1", "3", "27"], ["24", "0", "0", "0", "24"]]


def test_a_page_for_people(tables: Tables) -> None:
    for day in range(14):
        accuracy = recognised("folds", 0.9 + day / 200, 100)
        before = tables.run(f"r{day}", day, 1000 + 100 * day, added=100, embedded=100, **accuracy)
        tables.put("runs", [before])
    tables.put("runs", [tables.run("later", 20, 5000), {**before, "run_id": "other", "extractor_id": "e2"}])
    row = tables.run(
        *("r15", 15, 2468),
        **{"added": 1234, "embedded": 1234, "captured": 0.95, "listed": 12345, "left": 6, "near_twins": 1000},
        **recognised("folds", 0.98765, 1230) | recognised("before", 0.9996, 1200),
        by_label=[
            {"label": "Fig", "right_before": 1, "judged_before": 2, "right_folds": 99, "judged_folds": 100},
            {"label": "<Kiwi>", "right_before": 0, "judged_before": 0, "right_folds": 3, "judged_folds": 10},
            {"label": "Plum", "right_before": 0, "judged_before": 0, "right_folds": 0, "judged_folds": 0},
        ],
        **{"find_seconds": 2.25, "extract_seconds": 100.0, "reduce_seconds": 12.34, "embed_seconds": 61.7},
        **{"cluster_seconds": 240.0, "start_seconds": 60.0, "bootstrap_seconds": 20.0, "wait_seconds": 7.66},
        **{
            "maintain_seconds": 20.0,
            "end_seconds": 15.0,
            "planned_seconds": 470.0,
            "planned_dollars": 0.131,
            "cost_dollars": 0.0617,
        },
        **{"cluster": "j-ABC", "instance_type": "m7g.xlarge", "core_nodes": 2, "vcpus": 8},
    )
    page = tables.page(row, pretend=True)
    assert page.tiles == {
        "Listed": "12,345",
        "New": "1,234",
        "Changed": "0",
        "Deleted": "0",
        "Embedded": "1,234",
        "Rejected": "0",
        "Left for later": "6",
        "Photos in the lake": "2,468",
        "Recognised": "98.8%",
        "Variance captured": "95.0%",
        "Duration": "4 min 10 s",
        "Would have cost on AWS": "$0.062",
    }
    assert page.notes == {
        "Photos in the lake": "2 labels",
        "Recognised": "97% to 100%, no near twin learnt from",
        "Variance captured": "no basis",
        "Duration": "20 photos a second",
        "Would have cost on AWS": "$0.050 per 1,000 photos",
    }
    assert "complete, with photos left for the next run" in page.text
    assert (
        "The recogniser before this run: right about 99.9% (98% to 100%) of 1,200 of this run's photos; recognisers "
        "without a photo and its near twins: right about 98.8% (97% to 100%) of 1,230 of this run's photos; 1,000 of "
        "this run's photos have a near twin in the lake."
    ) in " ".join(page.text.split())
    assert "A photo farther than 2.3 from every label, where 1 is usual, is nothing that it knows." in page.text
    assert page.table("Labels by how often they were recognised")[1:] == [
        ["<Kiwi>", "3 of 10", NONE],
        ["Fig", "99 of 100", "1 of 2"],
    ]
    assert "the run in Airflow" in page.text and ("href", RUN_URL) in page.attributes
    assert page.table("Seconds of each phase") == [
        ["Find new photos", "2.2 s", ""],
        ["Cluster starts", "1 min 00 s", ""],
        ["Cluster bootstraps", "20.0 s", ""],
        ["Extract embeddings", "1 min 40 s", ""],
        ["Reduce", "12.3 s", ""],
        ["Maintain tables", "20.0 s", ""],
        ["Steps that did not come to their end", "5.0 s", ""],
        ["Cluster waits", "7.7 s", ""],
        ["Cluster ends", "15.0 s", ""],
        ["Whole run", "4 min 10 s", ""],
    ]
    assert 'style="width:40.00%"><i style="width:61.70%"></i>' in page.html
    assert page.table("Planned, and what became of it")[1:] == [
        ["Life of the cluster", "7 min 50 s", "4 min 00 s"],
        ["Cost, had it been AWS", "$0.13", "$0.062"],
        ["Cluster", "j-ABC"],
        ["Core nodes", "2 × m7g.xlarge, 8 vCPUs"],  # noqa: RUF001
    ]
    runs = page.table("Runs of this extractor")[1:]
    assert [row[0].partition("UTC")[2] for row in runs] == ["r15", *(f"r{day}" for day in range(13, 3, -1))]
    assert [row[5] for row in runs[:2]] == ["2,468", "2,300"]
    assert 'aria-label="Photos in the lake: 1,400 to begin with, 2,468 after this run"' in page.html
    assert "Cost" in tables.page(row).tiles


def test_what_is_not_known_of_a_clusters_life(tables: Tables) -> None:
    """Nobody saw when it bootstrapped, nor told it to end."""
    known = {"find_seconds": 1.0, "reduce_seconds": 50.0, "cluster_seconds": 200.0}
    row = tables.run(**known, start_seconds=90.0, wait_seconds=60.0)
    assert tables.page(row).table("Seconds of each phase") == [
        ["Find new photos", "1.0 s", ""],
        ["Cluster starts and bootstraps", "1 min 30 s", ""],
        ["Extract embeddings", NONE, ""],
        ["Reduce", "50.0 s", ""],
        ["Cluster waits and ends", "1 min 00 s", ""],
        ["Whole run", "4 min 10 s", ""],
    ]


def test_a_run_that_emptied_the_lake(tables: Tables) -> None:
    tables.put("runs", [tables.run("r1", 0, 10, added=10, embedded=10, **recognised("folds", 1.0, 10))])
    page = tables.page(tables.run("r2", 1, deleted=10))
    assert page.tiles["Photos in the lake"] == "0"
    assert page.notes["Photos in the lake"] == "0 labels"
    assert page.notes["Recognised"] == "no new photo to judge it by"
    assert "There is no basis: the lake holds no photo of this extractor." in page.text
    assert [row[5] for row in page.table("Runs of this extractor")[1:]] == ["0", "10"]


def test_a_basis_whose_files_are_gone(tables: Tables) -> None:
    basis = {"extractor_id": "e1", "basis_id": "b1", "created_at": NOON, "count": 10, "why": "first basis"}
    wish = {"asked_components": None, "asked_variance": 0.95, "standardize": True}
    schema = pa.schema([("asked_components", pa.int32())])
    tables.catalog.create_table(
        ("orchard", "bases"),
        pa.unify_schemas([pa.Table.from_pylist([basis | wish]).drop("asked_components").schema, schema]),
    )
    rows = pa.Table.from_pylist(
        [basis | wish], schema=tables.catalog.load_table(("orchard", "bases")).schema().as_arrow()
    )
    tables.catalog.load_table(("orchard", "bases")).append(rows)
    page = tables.page(tables.run("r1", 0, 10, basis_id="b1", captured=0.94, captured_of_best=0.9988))
    assert page.text.count("This picture is not there any more.") == 2
    assert "Fitted 20 Nov 2026, 12:00 UTC; why: first basis." in " ".join(page.text.split())
    assert page.notes["Basis"] == "fitted on 10 photos"
    assert page.notes["Components"] == "for 95.0% of the variance, of standardised features"
    assert "drift 0.12%" in page.text
    assert '<i style="width:24.0%">' in page.html


def test_a_large_picture_is_shown_as_png(tables: Tables) -> None:
    files = {"map.svg": b"<" * 900_001, "map.png": b"\x89PNG map", "variance.svg": b"<svg/>"}

    def read(address: str) -> bytes:
        folder, _, name = address.rpartition("/")
        assert folder == f"{tables.root}/exports/e1/b1"
        if name not in files:
            raise FileNotFoundError(address)
        return files[name]

    fit = tables.gather(tables.run(basis_id="b1"), read).fit
    assert fit is not None
    assert fit.map == f"data:image/png;base64,{base64.b64encode(files['map.png']).decode()}"
    assert fit.variance_plot == "data:image/svg+xml;base64,PHN2Zy8+"


def test_nothing_that_a_name_holds_becomes_html(tables: Tables) -> None:
    odd = "file:///a/<script>alert(1)</script>/\"' onerror=alert(2) x='\n\u202e&amp;🍑.jpg"
    tables.reject((odd, "damaged: <img src=x onerror=alert(3)>"))
    row = tables.run("<b>r1</b>\"'", rejected=1, cluster="<script>", why="</style><script>")
    tables.catalog.load_table(("orchard", "rejects")).append(
        pa.table({"uri": [odd], "reason": ["<u>"], "extractor_id": ["e1"], "run_id": [row["run_id"]]})
    )
    for one in (row, {**row, "run_id": "r1"}):
        page = tables.page(one, pretend=True)
        assert not page.tags & {"script", "u"}
        assert len(page.pictures) == 0
    (_, reject) = page.table("Mend or remove them")
    shown = "file:///a/<script>alert(1)</script>/\"' onerror=alert(2) x='\\n\\u202e&amp;🍑.jpg"
    assert reject == ["JPG100 B", "damaged: <img src=x onerror=alert(3)>", "<i>Fig</i>", shown]


def test_some_of_many_rejects_of_each_reason(tables: Tables, tmp_path: Path) -> None:
    many = [(f"file://{tmp_path}/{number:03}.jpg", "truncated: the image data ends early") for number in range(60)]
    sizes = [(f"file://{tmp_path}/big {n}.jpg", f"the file has {300 + n} MiB, more than the 256") for n in range(2)]
    Image.new("RGB", (30, 20), "green").save(tmp_path / "000.jpg")
    tables.reject(*many, *sizes)
    read: list[str] = []

    def spy(address: str) -> bytes:
        read.append(address)
        return read_file(address)

    report = tables.gather(tables.run(added=62, rejected=62), spy)
    assert report.reasons == (("truncated: the image data ends early", 60), ("the file has … MiB, more than the …", 2))
    assert len(report.rejects) == 24
    assert [reject.uri for reject in report.rejects[:2]] == [uri for uri, _ in sizes]
    assert [reject.thumbnail is not None for reject in report.rejects] == [False, False, True] + [False] * 21
    assert len(read) == 24
    page = Page(render(report))
    assert "62 photos could not be used; here are 24, and all are in the table rejects." in page.text


def test_a_large_photo_is_not_fetched(tables: Tables) -> None:
    tables.reject(("file:///large.jpg", "damaged: x"), size=2**30)
    (reject,) = tables.gather(tables.run(rejected=1), lambda address: pytest.fail(address)).rejects
    assert (reject.thumbnail, reject.suffix, reject.size) == (None, "JPG", 2**30)


def test_photos_undone_are_said(tables: Tables) -> None:
    assert "2 photos of the batch not done by this run" in tables.page(tables.run(added=3, embedded=1)).text
    assert "not ended yet" in tables.page(tables.run() | {"ended_at": None}).text


def test_shares_of_few_photos_are_counts(tables: Tables) -> None:
    page = tables.page(tables.run(photos=2, added=1, embedded=1, **recognised("before", 0.0, 1)))
    assert (page.tiles["Recognised"], page.notes["Recognised"]) == ("0 of 1", "0% to 2%, by the recogniser before")
    assert "The recogniser before this run: right about 0 of 1 (0% to 2%) of this run's photos." in page.text
    assert page.table("Runs of this extractor")[1][6:8] == ["0 of 1 (0% to 2%)", NONE]
    assert "0.0%" not in page.text


def test_one_label_alone_is_recognised_by_no_share(tables: Tables) -> None:
    mine = {"extractor_id": "e1", "run_id": "r1"}
    tables.put("moments", [{**mine, "total": Moments.of([[0.0], [1.0]], ["Fig", "Fig"]).pack()}])
    fitted = {"labels": ["Fig"], "by_label": [FIG], "shrinkage": 0.25, "count": 2, "far": None}
    tables.put("recognisers", [{**mine, **fitted}])
    page = tables.page(tables.run(added=2, embedded=2))
    assert (page.tiles["Recognised"], page.notes["Recognised"]) == (NONE, "but one label")
    assert "with one label there is nothing to tell apart" in page.text
    assert "Too few photos have been judged to tell how far one is that it does not know." in page.text


def test_what_could_not_be_made_is_said(tables: Tables) -> None:
    page = tables.page(tables.run() | {"unmade": "map: ValueError: <b>\nexports: OSError: full"})
    assert "complete, but not all beside the tables could be made" in page.text
    assert "\nmap: ValueError: <b>\nexports: OSError: full\n" in page.text


def test_what_no_count_tells_is_said(tables: Tables) -> None:
    page = tables.page(tables.run() | {"notes": '["No photo is under s3://b/<typo>/", "Probable twins"]'})
    assert "\nNo photo is under s3://b/<typo>/\nProbable twins\n" in page.text


def test_photos_with_another_label_are_said(tables: Tables) -> None:
    assert "Relabelled" not in tables.page(tables.run()).tiles
    page = tables.page(tables.run() | {"relabelled": 1_200, "label_rule": "(<b>)/"})
    assert (page.tiles["Relabelled"], page.notes["Relabelled"]) == ("1,200", "by the rule (<b>)/")


def test_a_lake_in_s3(aws: Any, bucket: str) -> None:
    root, database = f"s3://{bucket}/lake", f"db_{uuid.uuid4().hex[:8]}"
    tables, s3 = Tables(open_catalog(root, database), root, database), aws.client("s3")
    picture = io.BytesIO()
    Image.new("RGB", (300, 100), "orange").save(picture, "PNG")
    keys = ["photos/Fig/new\nline 🍑 100%.png", "photos/Fig//gone.png"]
    s3.put_object(Bucket=bucket, Key=keys[0], Body=picture.getvalue())
    s3.put_object(Bucket=bucket, Key="lake/exports/e1/b1/variance.csv",
                  Body=b"component,eigenvalue,explained,cumulative\n1,2.5,0.91,0.91\n2,0.1,0.05,0.96\n")  # fmt: skip
    s3.put_object(Bucket=bucket, Key="lake/exports/e1/b1/map.png", Body=picture.getvalue())
    tables.reject(*((f"s3://{bucket}/{key}", "damaged: x") for key in keys))
    row = tables.run(basis_id="b1", added=2, rejected=2)
    page = tables.page(row, lambda address: airflow_aws.read_object(s3, address))
    assert [row[0] for row in page.table("Mend or remove them")[1:]] == ["PNG100 B", ""]
    assert [(p["src"] or "")[:22] for p in page.pictures] == ["data:image/png;base64,", "data:image/jpeg;base64"]
    assert page.table("Variance")[1:] == [
        ["1", "2.5", "91.00%", "91.00%", "reaches 90%"],
        ["2", "0.1", "5.00%", "96.00%", "reaches 95%"],
    ]
    assert 'lake = load_catalog("orchard", type="glue")' in page.text
    assert f"photos = lake.load_table('{database}.coordinates').scan(mine).to_pandas()" in page.text


def test_what_is_said_twice_agrees() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert orchard.__version__ == project["version"]
    assert fits.KEEP == KEEP
