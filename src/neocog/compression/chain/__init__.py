"""What carries a model from one step of a recipe to the next: the candidate, its training, its widths, its bundle."""
