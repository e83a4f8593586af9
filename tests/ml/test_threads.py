"""Linear algebra on one thread inside, and as it was outside."""

import pytest
from threadpoolctl import ThreadpoolController

from bayesgmm.ml.threads import single_threaded_blas


def blas_threads() -> list[int]:
    return [
        library["num_threads"]
        for library in ThreadpoolController().info()
        if library["user_api"] == "blas"
    ]


@single_threaded_blas
def inside(fail: bool = False) -> list[int]:
    """The threads inside."""
    if fail:
        raise RuntimeError("inside")
    return blas_threads()


def test_one_thread_inside_and_the_old_number_afterwards():
    before = blas_threads()
    assert set(inside()) <= {1}
    assert blas_threads() == before


def test_an_error_inside_brings_the_old_number_back():
    before = blas_threads()
    with pytest.raises(RuntimeError, match="inside"):
        inside(fail=True)
    assert blas_threads() == before


def test_the_function_keeps_its_name_and_docstring():
    assert (inside.__name__, inside.__doc__) == ("inside", "The threads inside.")
