"""The distribution of the largest gap between two samples is exact, with ties and without."""

import numpy as np
import pytest
from scipy.stats import hypergeom, ks_2samp

from iris_nb.monitor.chance import exceedance, gaps_at, tie_ends


@pytest.mark.parametrize(("n", "m"), [(10, 7), (150, 60), (7, 150), (300, 20)])
def test_without_ties_it_is_the_exact_test_of_scipy(n, m):
    rng = np.random.default_rng(n)
    found = ks_2samp(rng.normal(size=n), rng.normal(0.5, size=m), method="exact")
    ours = exceedance(np.array([found.statistic]), np.ones((n + m, 1), dtype=bool), m)
    assert np.isclose(ours[0], found.pvalue)


def test_of_yes_and_no_it_is_the_hypergeometric_distribution():
    is_end = tie_ends(np.repeat([0.0, 1.0], [90, 10]), 120)[:, None]
    k = np.arange(13)
    far = abs(k / 20 - (12 - k) / 100) >= 0.2 - 1e-9
    assert np.isclose(exceedance(np.array([0.2]), is_end, 20)[0], hypergeom.pmf(k, 120, 12, 20)[far].sum())


def test_each_column_has_its_own_ties_and_its_own_gap():
    x = np.random.default_rng(0).poisson(2, 200).astype(float)
    is_end = np.column_stack([np.ones(300, dtype=bool), tie_ends(x, 300)])
    both = exceedance(np.array([0.2, 0.15]), is_end, 100)
    alone = [exceedance(np.array([gap]), is_end[:, [i]], 100)[0] for i, gap in enumerate((0.2, 0.15))]
    assert np.allclose(both, alone)


def test_a_threshold_is_exceeded_as_often_as_its_level_says():
    rng = np.random.default_rng(1)
    is_end = np.column_stack([np.ones(2200, dtype=bool), tie_ends(rng.poisson(9, 2000).astype(float), 2200)])
    for level in (0.03, 4e-5):
        assert np.allclose(exceedance(gaps_at(level, is_end, 200), is_end, 200), level, rtol=0.25)


def test_a_column_of_one_value_never_differs():
    is_end = tie_ends(np.zeros(50), 70)[:, None]
    assert np.isclose(exceedance(np.zeros(1), is_end, 20)[0], 1)
    assert gaps_at(0.01, is_end, 20)[0] == 0
