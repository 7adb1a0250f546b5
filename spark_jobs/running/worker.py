"""Worker: what one Spark task does in step 1, from keys to embeddings, in one function.

Neither bytes nor pixels leave it. Threads read and decode ahead while the main thread runs the model; both work
outside the interpreter's lock for most of their time.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import chain, islice

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark import Accumulator

from spark_jobs.extractor import photos
from spark_jobs.extractor.engines import BATCH, Engine, Extractor, Views, decode, open_engine
from spark_jobs.running import objects

OUTCOME = "uri string, etag string, label string, embedding array<float>, reason string"
_SCHEMA = pa.schema(
    [
        ("uri", pa.string()),
        ("etag", pa.string()),
        ("label", pa.string()),
        ("embedding", pa.list_(pa.float32())),
        ("reason", pa.string()),
    ]
)
# A GET from S3 waits some 20 to 50 ms, and a core embeds 100 to 500 photos a second: 16 in flight keep it busy.
# A file is there at once.
_READERS = {"s3": 16, "file": 1}
_OUT = 8 * BATCH  # photos in a record batch that leaves: megabytes, not rows, decide

Task = Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]


@dataclass(frozen=True)
class Photo:
    """What a task knows of a photo before it reads it."""

    uri: str
    etag: str
    size: int
    label: str | None
    rule: str | None = None  # by which label was found

    @property
    def no_label(self) -> str:
        """The reason to reject it where it has no label; plugins/orchard/photos/discovery.py knows its beginning."""
        return f"no label: the rule {self.rule or 'parent'} finds none; move or rename the photo, or change the rule"


@dataclass(frozen=True)
class Outcome:
    """What became of a photo: its embedding, or the reason why it has none."""

    photo: Photo
    embedding: NDArray[np.float32] | None = None
    reason: str | None = None


@cache
def load_engine(artefact: str, engine: str) -> tuple[Extractor, Engine]:
    """Load and check an engine, once a Python worker."""
    extractor = Extractor.from_bytes(objects.read_whole(artefact))
    return extractor, open_engine(extractor, engine)


def embedding_task(artefact: str, engine: str, done: "Accumulator[int]", rejected: "Accumulator[int]") -> Task:
    """Make the function for ``mapInArrow``: rows of a batch in, rows of `OUTCOME` out; it counts both kinds."""

    def task(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        extractor, model = load_engine(artefact, engine)
        rows = (Photo(*row) for batch in batches for row in zip(*(column.to_pylist() for column in batch), strict=True))
        for outcomes in _chunks(embed(rows, extractor, model), _OUT):
            done.add(len(outcomes))
            rejected.add(sum(outcome.reason is not None for outcome in outcomes))
            yield _record_batch(outcomes)

    return task


def embed(rows: Iterator[Photo], extractor: Extractor, engine: Engine) -> Iterator[Outcome]:
    """Embed photos in batches that suit the engine; a photo that cannot be read takes no place in one."""
    pending: list[tuple[Photo, Views]] = []

    def flush() -> Iterator[Outcome]:
        embeddings = engine.embed([pixels for _, pixels in pending])
        yield from (Outcome(photo, row) for (photo, _), row in zip(pending, embeddings, strict=True))
        pending.clear()

    for photo, decoded in _decoded(rows, extractor):
        if isinstance(decoded, photos.PhotoError):
            yield Outcome(photo, reason=str(decoded))
            continue
        pending.append((photo, decoded))
        if len(pending) == BATCH:
            yield from flush()
    if pending:
        yield from flush()


def _decoded(rows: Iterator[Photo], extractor: Extractor) -> Iterator[tuple[Photo, Views | photos.PhotoError]]:
    """Read and decode ahead, in order, never more than some batches (or readers) ahead."""
    first = next(rows, None)
    if first is None:
        return
    readers = _READERS[first.uri.partition("://")[0]]
    ahead = readers + 2 * BATCH
    pool = ThreadPoolExecutor(readers)
    waiting: deque[tuple[Photo, Future[Views | photos.PhotoError]]] = deque()
    try:
        for photo in chain([first], rows):
            waiting.append((photo, pool.submit(_pixels, photo, extractor)))
            if len(waiting) > ahead:
                photo, future = waiting.popleft()
                yield photo, future.result()
        while waiting:
            photo, future = waiting.popleft()
            yield photo, future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _pixels(photo: Photo, extractor: Extractor) -> Views | photos.PhotoError:
    """Read and decode one photo; the photo's own fault is returned, the system's is raised."""
    try:
        if photo.label is None:
            raise photos.PhotoError(photo.no_label)
        photos.check_bytes(photo.size)
        return decode(objects.read(photo.uri, photo.etag), extractor)
    except photos.PhotoError as error:
        return error


def _chunks(outcomes: Iterator[Outcome], size: int) -> Iterator[list[Outcome]]:
    while chunk := list(islice(outcomes, size)):
        yield chunk


def _record_batch(outcomes: list[Outcome]) -> pa.RecordBatch:
    embedded = [outcome.embedding for outcome in outcomes if outcome.embedding is not None]
    values = np.concatenate(embedded) if embedded else np.zeros(0, np.float32)
    lengths = [0 if outcome.embedding is None else len(outcome.embedding) for outcome in outcomes]
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
    missing = pa.array([outcome.embedding is None for outcome in outcomes])
    return pa.record_batch(
        [
            pa.array([outcome.photo.uri for outcome in outcomes], pa.string()),
            pa.array([outcome.photo.etag for outcome in outcomes], pa.string()),
            pa.array([outcome.photo.label for outcome in outcomes], pa.string()),
            pa.ListArray.from_arrays(offsets, pa.array(values, pa.float32()), mask=missing),
            pa.array([outcome.reason for outcome in outcomes], pa.string()),
        ],
        schema=_SCHEMA,
    )
