"""Ways of learning, one file each: what it needs of a network, how it learns, what of a recipe it cannot do."""
