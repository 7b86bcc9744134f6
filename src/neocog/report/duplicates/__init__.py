"""Near duplicates across splits, as the stage audit found them."""
