"""AIC, BIC and ICL: smaller is better, and counts stand for repeated rows."""

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from bayesgmm.ml.criteria import aic, aicc, bic, icl


@pytest.fixture(scope="module")
def reference(table):
    """A mixture of scikit-learn's, whose criteria are independent of ours."""
    return GaussianMixture(2, random_state=0, tol=1e-2).fit(table.X)


@pytest.fixture(scope="module")
def log_likelihood(reference, table):
    return float(reference.score_samples(table.X).sum())


def test_aic_and_bic_are_scikit_learns(reference, log_likelihood, table):
    df = 2 * 2 + 2 * 3 + 1
    assert aic(log_likelihood, df) == pytest.approx(reference.aic(table.X), rel=1e-13)
    assert bic(log_likelihood, df, float(len(table.X))) == pytest.approx(
        reference.bic(table.X), rel=1e-13
    )


def test_icl_is_the_bic_of_the_classified_rows(reference, log_likelihood, table):
    """With hard labels z the classified log-likelihood is sum_i log(w_z N(x_i | z))."""
    resp = reference.predict_proba(table.X)
    labels, n = resp.argmax(1), len(table.X)
    joint = reference.score_samples(table.X) + np.log(resp[np.arange(n), labels])
    expected = -2 * joint.sum() + 11 * np.log(n)
    assert icl(log_likelihood, 11, float(n), float(np.log(resp.max(1)).sum())) == pytest.approx(
        expected, rel=1e-13
    )


def test_icl_is_bic_where_memberships_are_certain_and_above_it_elsewhere():
    assert icl(-100.0, 11, 80.0, 0.0) == bic(-100.0, 11, 80.0)
    assert icl(-100.0, 11, 80.0, -3.5) == bic(-100.0, 11, 80.0) + 7


def test_aicc_is_aic_with_hurvich_and_tsais_penalty():
    assert aicc(-100.0, 5, 50.0) == pytest.approx(aic(-100.0, 5) + 60 / 44, rel=1e-14)
    assert aicc(-100.0, 5, 1e12) == pytest.approx(aic(-100.0, 5), rel=1e-9)
    assert np.isnan(aicc(-100.0, 5, 6.0))
