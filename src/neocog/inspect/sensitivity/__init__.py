"""Which layers of a network bear compression: each is narrowed, or rounded, alone, and the accuracy that is left is measured."""
