"""`neocog repro --ray`: stages of the DVC graph on the nodes of a Ray cluster (docs/decisions/0019)."""
