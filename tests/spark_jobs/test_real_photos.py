"""Both steps over hundreds of real photos, in Spark with two slots, against Keras and scikit-learn."""

from pathlib import Path
from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from spark_jobs.exact.basis import Request
from spark_jobs.extract_embeddings import extract
from spark_jobs.reduce_embeddings import Options, reduce_run
from tests.lakes import embeddings, new_lake, row, set_batch


def test_both_steps(spark: None, shared: Path, real_photos: list[Path], exported: Any, tmp_path: Path) -> None:
    assert len(real_photos) >= 200
    artefact = exported.artefact("real")
    lake = new_lake(tmp_path / "lake")
    assert lake.spark.sparkContext.defaultParallelism == 2
    set_batch(lake, "r1", artefact.stem, [row(path) for path in real_photos])

    extracted = extract(lake, "r1", artefact.stem, str(artefact))
    reduced = reduce_run(lake, "r1", artefact.stem, Options(Request(components=20, variance=None), shrinkage=0.05))

    assert (extracted.embedded, extracted.rejected) == (len(real_photos), 0)
    uris, labels, x = embeddings(lake)
    keras = dict(zip((f"file://{path}" for path in real_photos), exported.keras("real"), strict=True))
    expected = np.array([keras[uri] for uri in uris], np.float64)
    cosines = np.einsum("ij,ij->i", x, expected) / np.linalg.norm(x, axis=1) / np.linalg.norm(expected, axis=1)
    assert cosines.min() >= 0.99999

    pca = PCA(20, svd_solver="full").fit(x)
    (basis,) = lake.table("bases").collect()
    np.testing.assert_allclose(basis.eigenvalues[:20], pca.explained_variance_, rtol=1e-10)
    np.testing.assert_allclose(basis.components, pca.components_, atol=1e-9)
    rows = {one.uri: one.coordinates for one in lake.table("coordinates").collect()}
    np.testing.assert_allclose([rows[uri] for uri in uris], pca.transform(x), atol=1e-4)
    lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.05).fit(x, labels)
    (recogniser,) = lake.table("recognisers").collect()
    np.testing.assert_allclose(recogniser.weights, lda.coef_, atol=1e-10 * np.abs(lda.coef_).max())
    np.testing.assert_allclose(recogniser.biases, lda.intercept_, rtol=1e-10)
    assert reduced.labels == len(set(labels))
