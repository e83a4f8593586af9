import numpy as np
from matplotlib.patches import Rectangle

from bayesgmm.plots import occupied


def test_bars_are_prior_then_posterior_around_their_number() -> None:
    ax = occupied([0.2, 0.3, 0.5], [0.0, 0.9, 0.1])
    bars = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
    np.testing.assert_allclose([bar.get_height() for bar in bars], [0.2, 0.3, 0.5, 0.0, 0.9, 0.1])
    np.testing.assert_allclose([bar.get_x() + bar.get_width() for bar in bars[:3]], [1, 2, 3])
    np.testing.assert_allclose([bar.get_x() for bar in bars[3:]], [1, 2, 3])
