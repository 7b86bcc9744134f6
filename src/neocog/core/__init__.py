"""What every room stands on: errors, validation, constrained types, plugin metadata, tables, locks, digests. No torch, no images."""
