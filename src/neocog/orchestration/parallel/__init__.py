"""`neocog repro`: the DVC graph in parallel on one machine, with DVC's own files (docs/decisions/0016)."""
