"""From where images lie to the one file that training reads: sources, gate, splits, prepared; then loader and augment."""
