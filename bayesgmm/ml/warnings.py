"""What fits warn of."""


class DegenerateFitWarning(UserWarning):
    """No admissible fit was found; the best of the others is returned."""


class NotConvergedWarning(UserWarning):
    """EM stopped at `max_iter` before its tolerance was met."""
