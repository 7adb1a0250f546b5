"""Sums: what a run was to do, against what the tables hold of it. The check that nothing is lost, photo by photo."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import duckdb
from pyiceberg.catalog import Catalog
from pyiceberg.expressions import And, BooleanExpression, EqualTo, GreaterThan, NotEqualTo

from orchard.lake.scratch import scratch
from orchard.lake.tables import table_or_none

_EXAMPLES = 10


@dataclass(frozen=True)
class Sums:
    """The sums of a run: ``asked == embedded + rejected + relabelled + superseded + lost``.

    Attributes
    ----------
    asked : int
        Photos that the batch adds, changes or relabels.
    embedded, rejected : int
        How many of them are in `embeddings`, or else in `rejects`, with the run's name and the batch's etag and label.
    relabelled : int
        How many are in `embeddings` likewise, and were to get another label only.
    superseded : int
        How many a later run took up: they are its to do, wherever they are now.
    lost : int
        How many are nowhere.
    twice : int
        How many are there more than once: in both tables, or in an older row that should have gone.
    kept : int
        Photos that the batch deletes and that are there still.
    examples : tuple of str
        Uris of the first photos that are lost, twice or kept.
    """

    asked: int = 0
    embedded: int = 0
    rejected: int = 0
    relabelled: int = 0
    superseded: int = 0
    lost: int = 0
    twice: int = 0
    kept: int = 0
    examples: tuple[str, ...] = ()

    @property
    def match(self) -> bool:
        """Whether each photo is where it belongs, once."""
        return not (self.lost or self.twice or self.kept)


_JUDGE = """
CREATE TABLE judged AS
SELECT b.uri, b.action, b.action = 'delete' AS deleted, later.uri IS NOT NULL AS superseded,
    count(h.uri) AS rows,
    count(*) FILTER (h.mine AND h.etag = b.etag AND h.embedded AND h.label IS NOT DISTINCT FROM b.label) > 0
        AS embedded,
    count(*) FILTER (h.mine AND h.etag = b.etag AND NOT h.embedded) > 0 AS rejected
FROM batch b LEFT JOIN later ON later.uri = b.uri LEFT JOIN held h ON h.uri = b.uri
GROUP BY ALL;
CREATE TABLE verdicts AS
SELECT uri, CASE
    WHEN deleted THEN CASE WHEN superseded OR rows = 0 THEN 'gone' ELSE 'kept' END
    WHEN superseded THEN 'superseded' WHEN embedded AND action = 'relabel' THEN 'relabelled'
    WHEN embedded THEN 'embedded' WHEN rejected THEN 'rejected' ELSE 'lost'
END AS verdict, NOT deleted AND NOT superseded AND rows > 1 AS twice
FROM judged
"""


def sums(catalog: Catalog, database: str, run_id: str, extractor_id: str) -> Sums:
    """Compare a run's batch with `embeddings` and `rejects`, in bounded memory.

    A batch that only adds photos is compared with the run's own part of the tables, another with all of them: rows of
    changed, deleted and relabelled photos stand in the parts of older runs.
    """
    extractor = EqualTo("extractor_id", extractor_id)
    mine = And(extractor, EqualTo("run_id", run_id))
    with scratch() as db:
        _register(db, catalog, database, "batches", mine, "uri", "etag", "label", "action", "found_at")
        db.execute("CREATE TABLE batch AS SELECT * FROM part")
        ((rows, found_at, others),) = db.execute(
            "SELECT count(*), max(epoch_us(found_at)), count(*) FILTER (action <> 'add') FROM batch"
        ).fetchall()
        if not rows:
            return Sums()
        newest = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=found_at)
        after = And(extractor, NotEqualTo("run_id", run_id), GreaterThan("found_at", newest))
        _register(db, catalog, database, "batches", after, "uri")
        db.execute("CREATE TABLE later AS SELECT DISTINCT uri FROM part SEMI JOIN batch USING (uri)")
        db.execute("CREATE TABLE held (uri VARCHAR, etag VARCHAR, label VARCHAR, mine BOOLEAN, embedded BOOLEAN)")
        for name, label in (("embeddings", "label"), ("rejects", None)):
            if table_or_none(catalog, database, name) is not None:
                fields = ("uri", "etag", "run_id", *filter(None, [label]))
                _register(db, catalog, database, name, extractor if others else mine, *fields)
                db.execute(
                    f"INSERT INTO held SELECT uri, etag, {label or 'NULL'}, run_id = ?, ? "
                    "FROM part SEMI JOIN batch USING (uri)",
                    [run_id, name == "embeddings"],
                )
        db.execute(_JUDGE)
        counts = dict(db.execute("SELECT verdict, count(*) FROM verdicts GROUP BY verdict").fetchall())
        ((twice,),) = db.execute("SELECT count(*) FROM verdicts WHERE twice").fetchall()
        wrong = db.execute(
            f"SELECT uri FROM verdicts WHERE twice OR verdict IN ('lost', 'kept') ORDER BY uri LIMIT {_EXAMPLES}"
        ).fetchall()
    done = {name: counts.get(name, 0) for name in ("embedded", "rejected", "relabelled", "superseded", "lost")}
    return Sums(
        sum(done.values()), **done, twice=twice, kept=counts.get("kept", 0), examples=tuple(u for (u,) in wrong)
    )


def rejects(catalog: Catalog, database: str, run_id: str, limit: int) -> list[tuple[str, str]]:
    """Return uri and reason of some photos that a run rejected."""
    table = table_or_none(catalog, database, "rejects")
    if table is None:
        return []
    rows = table.scan(EqualTo("run_id", run_id), selected_fields=("uri", "reason"), limit=limit).to_arrow()
    return sorted(zip(rows["uri"].to_pylist(), rows["reason"].to_pylist(), strict=True))


def _register(
    db: duckdb.DuckDBPyConnection, catalog: Catalog, database: str, table: str, where: BooleanExpression, *fields: str
) -> None:
    """Let DuckDB read columns of a part of a table, once, under the name part."""
    scan = catalog.load_table((database, table)).scan(where, selected_fields=fields)
    db.register("part", scan.to_arrow_batch_reader())
