"""What one task does, without Spark: order, faults, and how far it reads ahead."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from spark_jobs import recognise
from spark_jobs.extractor import photos
from spark_jobs.extractor.artefact import Extractor
from spark_jobs.extractor.engines import BATCH, Engine, open_engine
from spark_jobs.running import objects
from spark_jobs.running.worker import Photo, embed
from tests.artefacts import small
from tests.lakes import sample


@pytest.fixture(scope="module")
def extractor(random_artefact: Path) -> Extractor:
    return Extractor.load(random_artefact)


@pytest.fixture(scope="module")
def engine(extractor: Extractor) -> Engine:
    return open_engine(extractor)


@pytest.fixture
def jpeg(tmp_path: Path) -> bytes:
    return sample(tmp_path, per_label=1, labels=1)[0].read_bytes()


def test_order_and_rejects(extractor: Extractor, engine: Engine, jpeg: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    bytes_of = {f"file:///{i}": jpeg if i % 5 else b"no photo" for i in range(3 * BATCH)}
    monkeypatch.setattr(objects, "read", lambda uri, etag: bytes_of[uri])
    rows = [Photo(uri, "e", 9, None if uri.endswith("/7") else "Fig", "parent/2") for uri in bytes_of]
    outcomes = {outcome.photo.uri: outcome for outcome in embed(iter(rows), extractor, engine)}
    assert sorted(outcomes) == sorted(bytes_of)
    alone = engine.embed(photos.decode(jpeg, extractor.input_size)[np.newaxis])[0]
    for i, (uri, outcome) in enumerate(outcomes.items()):
        number = int(uri.rpartition("/")[2])
        if number % 5 == 0:
            assert outcome.reason is not None and outcome.reason.startswith("not an image")
        elif number == 7:
            assert outcome.photo == rows[7]
            assert outcome.reason == (
                "no label: the rule parent/2 finds none; move or rename the photo, or change the rule"
            )
        else:
            np.testing.assert_array_equal(outcome.embedding, alone, err_msg=str(i))


def test_a_worker_crops_as_recognise_does(jpeg: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for crop in (None, 0.5):
        (tmp_path / str(crop)).mkdir()
        extractor = Extractor.load(small(tmp_path / str(crop), crop))
        monkeypatch.setattr(objects, "read", lambda uri, etag: jpeg)
        photo = Photo("file:///1", "e", len(jpeg), "Fig", "parent")
        (by_worker,) = embed(iter([photo]), extractor, open_engine(extractor))
        monkeypatch.setattr(recognise, "read_whole", lambda name: jpeg)
        ((_, by_recognise, _),), _ = recognise._embed(["1.jpg"], extractor, open_engine(extractor), None)
        np.testing.assert_array_equal(by_worker.embedding, by_recognise)
        pixels = photos.decode(jpeg, extractor.input_size, crop)
        np.testing.assert_allclose(by_recognise[0], pixels[:16, :16, 0].mean() / 255, rtol=1e-4)  # the first tile's red
        found.append((extractor.extractor_id, by_recognise))
    (plain_id, plain), (cropped_id, cropped) = found
    assert plain_id != cropped_id
    assert not np.allclose(plain, cropped)


@pytest.mark.parametrize("fault", [PermissionError("no access"), OSError(28, "No space left"), MemoryError()])
def test_faults_of_the_system_are_no_rejects(
    fault: Exception, extractor: Extractor, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(uri: str, etag: str) -> bytes:
        raise fault

    monkeypatch.setattr(objects, "read", read)
    with pytest.raises(type(fault)):
        list(embed(iter([Photo("file:///1", "e", 9, "Fig")]), extractor, engine))


def test_too_large_is_never_fetched(extractor: Extractor, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "read", lambda uri, etag: pytest.fail("fetched"))
    (outcome,) = embed(iter([Photo("s3://b/1", "e", photos.MAX_BYTES + 1, "Fig")]), extractor, engine)
    assert outcome.reason is not None and outcome.embedding is None


def test_reads_ahead_but_not_far(
    extractor: Extractor, engine: Engine, jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = 0

    def rows() -> Iterator[Photo]:
        nonlocal taken
        for number in range(10_000):
            taken += 1
            yield Photo(f"s3://b/{number}", "e", 9, "Fig")

    monkeypatch.setattr(objects, "read", lambda uri, etag: jpeg)
    outcomes = embed(rows(), extractor, engine)
    next(outcomes)
    assert BATCH < taken <= 100
    outcomes.close()


def test_nothing_to_do(extractor: Extractor, engine: Engine) -> None:
    assert list(embed(iter([]), extractor, engine)) == []
