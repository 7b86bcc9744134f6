"""Tasks: one folder each, with the same file names inside. The folder is the registry; `task.py` is the protocol."""
