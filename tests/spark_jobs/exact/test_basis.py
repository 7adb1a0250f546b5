import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from spark_jobs.exact.basis import KEEP, Basis, Request, why_refit
from spark_jobs.exact.moments import Moments


def photos(n: int, dimension: int, seed: int = 0, labels: int = 4) -> tuple[NDArray[np.float32], list[str]]:
    """Embeddings with a clear spectrum, means that differ by label, and an offset."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(dimension, dimension)) * np.geomspace(3, 0.1, dimension)[:, None]
    index = rng.integers(0, labels, n)
    x = rng.normal(size=(n, dimension)) @ mixing + rng.normal(size=(labels, dimension))[index] * 2 + 5
    return x.astype(np.float32), [f"label {i}" for i in index]


def moments_of(n: int, dimension: int, seed: int = 0) -> Moments:
    return Moments.of(*photos(n, dimension, seed))


def in_parts(x: NDArray[np.float32], labels: list[str], size: int) -> Moments:
    total = Moments.empty(x.shape[1])
    for i in range(0, len(x), size):
        total = total + Moments.of(x[i : i + size], labels[i : i + size])
    return total


def close(got: NDArray[np.float64], expected: NDArray[np.float64], rtol: float = 1e-10) -> None:
    """Compare relative to the largest number: an entry of an axis may be 0."""
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=0, atol=rtol * np.abs(expected).max())


def up_to_sign(got: NDArray[np.float64], expected: NDArray[np.float64]) -> None:
    signs = np.sign((got * expected).sum(axis=1))
    close(got, expected * signs[:, None])


@pytest.mark.parametrize("size", [1000, 170, 13])
def test_it_is_scikit_learns_pca_of_everything_however_it_grew(size: int) -> None:
    x, labels = photos(1000, 40)
    basis = Basis.fit(in_parts(x, labels, size), Request(components=12, variance=None))
    pca = PCA(12, svd_solver="full").fit(x.astype(np.float64))
    close(basis.mean, pca.mean_)
    assert basis.scale.tolist() == [1.0] * 40
    close(basis.components, pca.components_)  # signs, too
    close(basis.eigenvalues[:12], pca.explained_variance_)
    close(basis.explained, pca.explained_variance_ratio_)
    close(basis.eigenvalues, PCA(svd_solver="full").fit(x.astype(np.float64)).explained_variance_)
    assert basis.count == 1000
    # float32 is all that is stored: its rounding, of the largest coordinate
    close(basis.project(x).astype(np.float64), pca.transform(x.astype(np.float64)), 1e-7)


def test_standardised_it_is_scikit_learns_scaler_before_its_pca() -> None:
    x, labels = photos(700, 20)
    x[:, 3] *= 1000
    x[:, 7] = 2.5  # never varies
    basis = Basis.fit(in_parts(x, labels, 90), Request(components=6, variance=None, standardize=True))
    scaler = StandardScaler().fit(x.astype(np.float64))
    pca = PCA(6, svd_solver="full").fit(scaler.transform(x.astype(np.float64)))
    close(basis.mean, scaler.mean_)
    np.testing.assert_allclose(basis.scale, scaler.scale_, rtol=1e-10)
    assert basis.scale[7] == 1.0
    up_to_sign(basis.components, pca.components_)
    close(basis.eigenvalues[:6], pca.explained_variance_)
    close(basis.explained, pca.explained_variance_ratio_)
    expected = pca.transform(scaler.transform(x.astype(np.float64)))
    signs = np.sign((basis.components * pca.components_).sum(axis=1))
    close(basis.project(x).astype(np.float64), expected * signs, 1e-7)


def test_projecting() -> None:
    x, labels = photos(50, 8)
    basis = Basis.fit(Moments.of(x, labels), Request(components=3, variance=None))
    coordinates = basis.project(x[:5])
    assert (coordinates.shape, coordinates.dtype) == ((5, 3), np.float32)
    assert basis.project(x[:0]).shape == (0, 3)
    np.testing.assert_array_equal(coordinates, [basis.project(x[i : i + 1])[0] for i in range(5)])
    np.testing.assert_array_equal(basis.project(np.float32(basis.mean)[None]).round(5), np.zeros((1, 3)))


def test_axes_are_orthonormal_and_their_largest_entry_positive() -> None:
    basis = Basis.fit(moments_of(300, 30), Request(variance=1.0))
    close(basis.components @ basis.components.T, np.eye(30))
    assert (basis.components[np.arange(30), np.abs(basis.components).argmax(axis=1)] > 0).all()
    assert (np.diff(basis.eigenvalues) <= 0).all()


@pytest.mark.parametrize(
    ("n", "dimension", "asked", "given"),
    [(100, 10, 4, 4), (100, 10, 10, 10), (100, 10, 500, 10), (5, 10, 9, 4), (2, 10, 3, 1), (5, 10, 1, 1)],
)
def test_components_are_no_more_than_the_photos_span(n: int, dimension: int, asked: int, given: int) -> None:
    basis = Basis.fit(moments_of(n, dimension), Request(components=asked, variance=None))
    assert basis.components.shape == (given, dimension)
    assert basis.eigenvalues.shape == (dimension,)


@pytest.mark.parametrize("share", [1e-14, 0.3, 0.8, 0.9, 0.95, 0.99, 0.999])
def test_the_fewest_components_that_hold_the_share_asked_for(share: float) -> None:
    x, labels = photos(400, 25)
    basis = Basis.fit(Moments.of(x, labels), Request(variance=share))
    cumulative = np.cumsum(PCA(svd_solver="full").fit(x.astype(np.float64)).explained_variance_ratio_)
    size = len(basis.components)
    assert size == np.searchsorted(cumulative, share) + 1
    assert cumulative[size - 1] >= share
    assert size == 1 or cumulative[size - 2] < share


@pytest.mark.parametrize(("n", "dimension", "size"), [(400, 25, 25), (10, 25, 9), (2, 25, 1), (25, 24, 24)])
def test_all_of_the_variance_takes_every_component_that_there_is(n: int, dimension: int, size: int) -> None:
    moments = moments_of(n, dimension)
    basis = Basis.fit(moments, Request(variance=1.0))
    assert len(basis.components) == size
    np.testing.assert_allclose(basis.captured(moments), (1.0, 1.0), rtol=1e-10)


def test_exactly_met_shares_do_not_take_one_more() -> None:
    eigenvalues = np.array([5.0, 3.0, 1.0, 1.0])
    sizes = {share: Request(variance=share).size(eigenvalues, 4) for share in (0.5, 0.51, 0.8, 0.9, 1.0)}
    assert sizes == {0.5: 1, 0.51: 2, 0.8: 2, 0.9: 3, 1.0: 4}


def test_captured_is_the_variance_of_the_coordinates() -> None:
    x, labels = photos(300, 15, seed=1)
    old = Basis.fit(Moments.of(x, labels), Request(components=4, variance=None))
    y = np.concatenate([x, photos(300, 15, seed=2)[0]]).astype(np.float64)
    of_best, of_all = old.captured(Moments.of(y, [*labels, *labels]))
    held = ((y - old.mean) @ old.components.T).var(axis=0, ddof=1).sum()
    pca = PCA(4, svd_solver="full").fit(y)
    np.testing.assert_allclose(of_best, held / pca.explained_variance_.sum(), rtol=1e-10)
    np.testing.assert_allclose(of_all, held / y.var(axis=0, ddof=1).sum(), rtol=1e-10)
    assert of_best < 1


def test_captured_counts_in_units_of_the_basis_own_scale() -> None:
    x, labels = photos(300, 10, seed=1)
    x[:, 2] *= 500
    old = Basis.fit(Moments.of(x, labels), Request(components=3, variance=None, standardize=True))
    y = np.concatenate([x, photos(200, 10, seed=5)[0] * 2]).astype(np.float64)
    of_best, of_all = old.captured(Moments.of(y, ["a"] * 500))
    scaled = (y - old.mean) / old.scale
    held = (scaled @ old.components.T).var(axis=0, ddof=1).sum()
    best = PCA(3, svd_solver="full").fit(scaled).explained_variance_.sum()
    np.testing.assert_allclose((of_best, of_all), (held / best, held / scaled.var(axis=0, ddof=1).sum()), rtol=1e-10)


def test_a_fresh_basis_captures_all_that_the_best_does() -> None:
    moments = moments_of(200, 12)
    basis = Basis.fit(moments, Request(components=5, variance=None))
    of_best, of_all = basis.captured(moments)
    np.testing.assert_allclose((of_best, of_all), (1.0, basis.explained.sum()), rtol=1e-10)


def test_axes_are_aligned_by_sign_with_those_that_they_resemble_most() -> None:
    moments = moments_of(200, 6)
    basis = Basis.fit(moments, Request(components=4, variance=None))
    order, signs = [1, 0, 3, 2], np.array([1, -1, -1, 1.0])
    other = Basis(basis.mean, basis.scale, basis.components[order] * signs[:, None], basis.eigenvalues, 200)
    aligned = basis.aligned_with(other)
    np.testing.assert_array_equal(aligned.components[order], other.components)
    for name in ("mean", "scale", "eigenvalues", "count"):
        assert getattr(aligned, name) is getattr(basis, name)
    assert basis.aligned_with(basis).basis_id == basis.basis_id


def test_a_grown_basis_keeps_the_direction_of_its_axes() -> None:
    x, labels = photos(400, 30)
    request = Request(components=8, variance=None)
    old = Basis.fit(Moments.of(x[:200], labels[:200]), request)
    turned = Basis(old.mean, old.scale, -old.components, old.eigenvalues, old.count)
    new = Basis.fit(Moments.of(x, labels), request)
    for reference in (old, turned):
        aligned = new.aligned_with(reference)
        cosines = aligned.components @ reference.components.T
        nearest = np.abs(cosines).argmax(axis=1)
        assert (cosines[np.arange(8), nearest] > 0).all()
        np.testing.assert_array_equal(np.abs(aligned.components), np.abs(new.components))


def test_aligning_bases_of_other_sizes() -> None:
    moments = moments_of(200, 10)
    small, large = (Basis.fit(moments, Request(components=n, variance=None)) for n in (3, 7))
    assert small.aligned_with(large).basis_id == small.basis_id
    assert large.aligned_with(small).components.shape == (7, 10)


def test_a_content_has_one_name() -> None:
    moments = moments_of(100, 6)
    wanted = [Request(2, None), Request(3, None), Request(3, None, standardize=True)]
    bases = [Basis.fit(moments, request) for request in wanted]
    assert len({basis.basis_id for basis in bases}) == 3
    assert [Basis.fit(moments, request).basis_id for request in wanted] == [basis.basis_id for basis in bases]
    assert all(len(basis.basis_id) == 12 for basis in bases)
    fortran = Basis(*(np.asfortranarray(a) for a in (bases[0].mean, bases[0].scale, bases[0].components)), None, 100)  # type: ignore[arg-type]
    assert fortran.basis_id == bases[0].basis_id


@pytest.mark.parametrize(
    ("components", "variance", "message"),
    [
        (None, None, "Give either components or variance, got None and None."),
        (3, 0.9, "Give either components or variance, got 3 and 0.9."),
        (0, None, "components: expected at least 1, got 0."),
        (-2, None, "components: expected at least 1, got -2."),
        (None, 0.0, "variance: expected a share in (0, 1], such as 0.95, got 0.0."),
        (None, 1.01, "variance: expected a share in (0, 1], such as 0.95, got 1.01."),
        (None, 95.0, "variance: expected a share in (0, 1], such as 0.95, got 95.0."),
        (None, float("nan"), "variance: expected a share in (0, 1], such as 0.95, got nan."),
    ],
)
def test_requests_that_ask_for_nothing(components: int | None, variance: float | None, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        Request(components, variance)
    assert str(caught.value) == message


def test_the_default_request() -> None:
    assert Request() == Request(components=None, variance=0.95, standardize=False)


def test_identical_embeddings_have_no_pca() -> None:
    same = Moments.of(np.full((7, 3), 0.1, np.float32), list("aabbccc"))
    for standardize in (False, True):
        with pytest.raises(ValueError) as caught:
            Basis.fit(same, Request(standardize=standardize))
        assert str(caught.value) == "All 7 embeddings are the same: there is no variance for a PCA."


@pytest.mark.parametrize("n", [0, 1])
def test_a_pca_needs_two(n: int) -> None:
    with pytest.raises(ValueError, match=rf"^A covariance needs at least 2 embeddings, got {n}\.$"):
        Basis.fit(Moments.of(np.ones((n, 3)), ["a"] * n), Request())


def test_one_label_is_as_good_as_many() -> None:
    x, labels = photos(100, 9)
    one, many = (Basis.fit(Moments.of(x, names), Request()) for names in (["a"] * 100, labels))
    close(one.components, many.components)
    close(one.eigenvalues, many.eigenvalues)


class TestWhyRefit:
    """Reasons are stored with the basis, and read by people."""

    def test_nothing_in_use(self) -> None:
        assert why_refit(None, None, Request(), moments_of(20, 4)) == "first basis"

    @pytest.mark.parametrize("request_", [Request(), Request(3, None), Request(components=99, variance=None)])
    def test_the_same_photos_keep_it(self, request_: Request) -> None:
        moments = moments_of(20, 8)
        assert why_refit(Basis.fit(moments, request_), request_, request_, moments) is None

    @pytest.mark.parametrize(("n", "dimension"), [(3, 8), (9, 8), (200, 8)])
    def test_what_a_refit_gives_is_kept(self, n: int, dimension: int) -> None:
        moments = moments_of(n, dimension)
        for request in (Request(variance=0.5), Request(variance=1.0), Request(components=50, variance=None)):
            assert why_refit(Basis.fit(moments, request), request, request, moments) is None

    def test_asked_for_something_else(self) -> None:
        moments = moments_of(20, 4)
        basis = Basis.fit(moments, Request())
        assert why_refit(basis, Request(), Request(2, None, True), moments) == (
            "asked for Request(components=2, variance=None, standardize=True), "
            "the basis in use was fitted for Request(components=None, variance=0.95, standardize=False)"
        )

    def test_more_components_have_become_possible(self) -> None:
        request = Request(6, None)
        basis = Basis.fit(moments_of(4, 10), request)
        assert why_refit(basis, request, request, moments_of(5, 10)) == (
            "5 photos now span 4 components, the basis in use has 3"
        )
        assert why_refit(basis, request, request, moments_of(500, 10)) == (
            "500 photos now span 6 components, the basis in use has 3"
        )

    def test_another_basis_would_capture_more(self) -> None:
        request = Request(1, None)
        old = Basis.fit(Moments.of([[1.0, 0], [-1, 0]], ["a", "b"]), request)
        new = Moments.of([[1.0, 0], [-1, 0], [0, 2], [0, -2]], list("abab"))
        assert why_refit(old, request, request, new) == (
            "it captures 25.00% of what the best of its size would, below 99.5%"
        )

    def test_just_above_the_threshold_it_stays(self) -> None:
        request = Request(1, None)
        old = Basis.fit(Moments.of([[1.0, 0], [-1, 0]], ["a", "b"]), request)

        def grown(share: float) -> Moments:
            other = share**-0.5
            return Moments.of([[1.0, 0], [-1, 0], [0, other], [0, -other]], list("abab"))

        assert why_refit(old, request, request, grown(KEEP + 1e-6)) is None
        assert why_refit(old, request, request, grown(KEEP - 1e-6)) is not None

    def test_the_share_asked_for_is_no_longer_held(self) -> None:
        request = Request(variance=0.9)
        old = Basis.fit(Moments.of([[10.0, 0, 0], [-10, 0, 0], [0, 1, 0], [0, -1, 0]], ["a"] * 4), request)
        assert len(old.components) == 1
        new = Moments.of([[10.0, 0, 0], [-10, 0, 0], [0, 5, 0], [0, -5, 0], [0, 0, 5], [0, 0, -5]], ["a"] * 6)
        assert why_refit(old, request, request, new) == "it captures 66.67% of the variance, 90.0% were asked for"
