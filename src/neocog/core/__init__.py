"""Foundation of all packages: errors, validation, constrained types, plugin metadata, tables, locks, digests. No torch, no images."""
