"""A budget that requests under way share: bytes of memory, or pixels to decode. Whoever finds it spent is told to retry."""


class Overloaded(Exception):
    """The queue is full: what the request needs is taken by requests before it."""


class Budget:
    """`most` units for all shares together; used by one event loop."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.taken = 0
        self.peak = 0  # since somebody set it back


class Share:
    """What one request holds of a budget, until it is given back (`resize(0)`)."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.size = 0

    def resize(self, size: int) -> None:
        """Hold `size` units instead of what was held. Raises Overloaded when others leave less, and then holds what it did."""
        more = size - self.size
        if more > 0 and self._budget.taken + more > self._budget.most:
            raise Overloaded
        self._budget.taken += more
        self._budget.peak = max(self._budget.peak, self._budget.taken)
        self.size = size
