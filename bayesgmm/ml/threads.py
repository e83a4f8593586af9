"""Small matrices on one thread: linear algebra libraries lose time by sharing them out."""

from collections.abc import Callable
from functools import cache, wraps

from threadpoolctl import ThreadpoolController


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def single_threaded_blas[**P, T](function: Callable[P, T]) -> Callable[P, T]:
    """The same function with BLAS on one thread while it runs; the old limits come back."""

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        with _controller().limit(limits=1, user_api="blas"):
            return function(*args, **kwargs)

    return wrapped
