"""Exact growth: after any history, the tables are those of the photos that are present, fitted from scratch."""

import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from spark_jobs.exact.basis import Request
from spark_jobs.exact.moments import Moments
from spark_jobs.extract_embeddings import extract
from spark_jobs.reduce_embeddings import Options, reduce_run
from spark_jobs.tables.lake import Lake
from tests.lakes import contents, embeddings, new_lake, newest, row, sample, set_batch

NAMES = [f"{label}/{number}.jpg" for label in ("Apple", "Banana", "Lemon") for number in range(5)]
OPTIONS = Options(Request(components=4, variance=None), refit="always", shrinkage=0.1)

RELABELLED = {name: "relabel" for name in NAMES[:7]}  # a whole label, and some of another


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return sample(tmp_path_factory.mktemp("pictures"), per_label=12)


def drawn(seed: int) -> list[dict[str, str]]:
    """Draw what happens to which names on three days: what it comes to depends on whether the photo is there."""
    random = np.random.default_rng(seed)
    return [
        {str(name): str(random.choice(["put", "delete", "relabel"])) for name in random.choice(NAMES, 6, replace=False)}
        for _ in range(3)
    ]


@pytest.mark.parametrize(
    ("history", "redo"),
    [
        pytest.param(
            [RELABELLED | {NAMES[12]: "put"}, {NAMES[0]: "relabel", NAMES[1]: "delete", NAMES[2]: "put"}],
            1,
            id="relabelled",
        ),
        pytest.param(drawn(0), 2, id="drawn", marks=pytest.mark.long),
    ],
)
def test_history_equals_from_scratch(
    history: list[dict[str, str]], redo: int, spark: None, pictures: list[Path], small_artefact: Path, tmp_path: Path
) -> None:
    photos, lake = tmp_path / "photos", new_lake(tmp_path / "lake")
    extractor_id = small_artefact.stem
    present: dict[str, tuple[str, str]] = {}  # etag and label
    puts = 0
    first = {name: "put" for name in NAMES[:11]}
    for step, operations in enumerate([first, *history]):
        rows = []
        for name, operation in operations.items():
            path = photos / name
            if operation == "put":
                path.parent.mkdir(parents=True, exist_ok=True)
                path.unlink(missing_ok=True)
                shutil.copy(pictures[puts % len(pictures)], path)
                puts += 1
                rows.append(row(path, "change" if name in present else "add"))
                present[name] = rows[-1]["etag"], rows[-1]["label"]
            elif name in present and operation == "relabel":
                path.unlink(missing_ok=True)  # it is not read again: that would be a reject
                etag, old = present[name]
                present[name] = etag, "Melon/small" if old != "Melon/small" else path.parent.name
                rows.append(row(path, "relabel", etag=etag, label=present[name][1]))
            elif name in present:
                rows.append(row(path, "delete", etag=present.pop(name)[0], label=None))
                path.unlink(missing_ok=True)
        if rows:
            set_batch(lake, f"run-{step}", extractor_id, rows)
            extract(lake, f"run-{step}", extractor_id, str(small_artefact))
            reduce_run(lake, f"run-{step}", extractor_id, OPTIONS)
            _check(lake, photos, present)
    done = sorted({run for (run,) in contents(lake, "batches", "run_id")})
    again = done[redo % len(done)]
    extract(lake, again, extractor_id, str(small_artefact))
    _check(lake, photos, present)  # alone, it leaves all as it was
    reduce_run(lake, again, extractor_id, OPTIONS)
    _check(lake, photos, present)


def _check(lake: Lake, photos: Path, present: dict[str, tuple[str, str]]) -> None:
    expected = sorted((f"file://{photos / name}", *rest) for name, rest in present.items())
    assert contents(lake, "embeddings", "uri", "etag", "label") == expected
    assert contents(lake, "rejects", "uri") == []
    if len(present) < 2:
        return
    assert contents(lake, "coordinates", "uri", "etag", "label") == expected
    _, labels, x = embeddings(lake)
    total = Moments.unpack(newest(lake, "moments")["total"])
    names = sorted(set(labels))
    assert total.labels == tuple(names)
    np.testing.assert_array_equal(total.counts, [labels.count(name) for name in names])
    means = np.array([x[np.array(labels) == name].mean(axis=0) for name in names])
    np.testing.assert_allclose(total.means, means, rtol=1e-10, atol=1e-10 * np.abs(means).max())
    centred = x - means[np.searchsorted(names, labels)]
    scatter = centred.T @ centred
    np.testing.assert_allclose(total.scatter, scatter, rtol=0, atol=1e-10 * np.abs(scatter).max())

    pca = PCA(svd_solver="full").fit(x)
    basis = newest(lake, "bases")
    size = min(4, len(present) - 1)
    components, eigenvalues = np.array(basis["components"]), np.array(basis["eigenvalues"])
    assert components.shape == (size, x.shape[1])
    np.testing.assert_allclose(eigenvalues[:size], pca.explained_variance_[:size], rtol=1e-10)
    # Signs are aligned with the basis before; and an axis is as certain as its eigenvalue stands apart.
    gaps = np.min(
        np.abs(np.subtract.outer(eigenvalues[: size + 1], eigenvalues[: size + 1])) + np.diag([np.inf] * (size + 1)),
        axis=1,
    )
    cosines = np.abs(np.einsum("ij,ij->i", components, pca.components_[:size]))
    certain = gaps[:size] > 1e-3 * eigenvalues[0]
    np.testing.assert_allclose(cosines[certain], 1.0, rtol=1e-10)

    if len(names) > 1:
        with warnings.catch_warnings():  # scikit-learn's, of a label with a single photo
            warnings.filterwarnings("ignore", "Only one sample available")
            lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1).fit(x, labels)
        recogniser = newest(lake, "recognisers")
        weights = lda.coef_ if len(names) > 2 else None
        assert tuple(recogniser["labels"]) == tuple(names)
        if weights is not None:
            scale = np.abs(weights).max()
            np.testing.assert_allclose(recogniser["weights"], weights, rtol=0, atol=1e-10 * scale)
            np.testing.assert_allclose(recogniser["biases"], lda.intercept_, rtol=1e-9)
