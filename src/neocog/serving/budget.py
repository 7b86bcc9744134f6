"""Admission control: a budget of bytes or pixels that concurrent requests share; one that exceeds it has to retry later."""


class Overloaded(Exception):
    """The queue is full: earlier requests hold what this one needs."""


class Budget:
    """`most` units for all shares together; used by one event loop."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.taken = 0
        self.peak = 0  # since somebody set it back


class Share:
    """Allocation of one request from a budget, released by `resize(0)`."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.size = 0

    def resize(self, size: int) -> None:
        """Change the allocation to `size` units. Raises Overloaded, and changes nothing, when the budget has less left."""
        more = size - self.size
        if more > 0 and self._budget.taken + more > self._budget.most:
            raise Overloaded
        self._budget.taken += more
        self._budget.peak = max(self._budget.peak, self._budget.taken)
        self.size = size
