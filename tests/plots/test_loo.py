import numpy as np

from bayesgmm.plots import loo_by_row

ELPD = -np.arange(1.0, 21.0)
K = np.full(20, 0.3)


def test_unreliable_rows_are_set_apart_and_counted() -> None:
    k = K.copy()
    k[[2, 5]] = 0.9, np.nan
    ax = loo_by_row(ELPD, k, 0.7)
    good, bad = ax.lines
    assert bad.get_xdata().tolist() == [2, 5]
    assert good.get_xdata().size == 18
    legend = ax.get_legend()
    assert legend is not None
    assert legend.get_texts()[1].get_text() == "2 above: not reliable"


def test_where_all_are_reliable_nothing_else_is_explained() -> None:
    legend = loo_by_row(ELPD, K, 0.7).get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["Pareto k-hat up to 0.70"]


def test_worst_rows_are_named_unless_names_would_meet() -> None:
    apart, close = np.zeros(100), np.zeros(100)
    apart[[10, 40, 70]] = -9.0, -8.0, -7.0
    close[[10, 11, 12, 50]] = -9.0, -9.0, -9.0, -8.0
    told = [{text.get_text() for text in loo_by_row(x, x, 0.7).texts} for x in (apart, close)]
    assert {"10", "40", "70"} <= told[0]
    assert {"10", "50"} <= told[1]
    assert not {"11", "12"} & told[1]
