import numpy as np

from bayesgmm.plots import component_colours, relabelling


def _switched() -> tuple[np.ndarray, np.ndarray]:
    right = np.random.default_rng(0).normal([0.0, 10.0], size=(2, 60, 2))
    sampled = right.copy()
    sampled[1] = sampled[1, :, ::-1]
    return sampled, right


def test_labels_as_sampled_are_above_those_put_right() -> None:
    sampled, right = _switched()
    axes = relabelling(sampled, right, name="mean waiting")
    for trace, draws in zip(axes[:, 0], (sampled, right), strict=True):
        points = [line for line in trace.lines if line.get_linestyle() == "None"]
        assert [line.get_color() for line in points] == list(component_colours(2))
        for j, line in enumerate(points):
            np.testing.assert_array_equal(line.get_ydata(), draws[..., j].ravel())
    assert [ax.get_title("left") for ax in axes[:, 0]] == ["as sampled", "relabelled"]
    assert axes[0, 0].get_ylabel() == "mean waiting"


def test_chains_are_named_and_set_off() -> None:
    trace = relabelling(*_switched())[1, 0]
    assert [label.get_text() for label in trace.get_xticklabels()] == ["chain 1", "chain 2"]
    assert trace.lines[-1].get_xdata()[0] == 60


def test_constant_parameter_has_no_density() -> None:
    ones = np.ones((1, 40, 1))
    assert not relabelling(ones, ones)[0, 1].lines


def test_many_draws_are_thinned() -> None:
    draws = np.random.default_rng(0).normal(size=(4, 5000, 1))
    (points, *_) = relabelling(draws, draws)[0, 0].lines
    assert len(points.get_xdata()) == 1600
