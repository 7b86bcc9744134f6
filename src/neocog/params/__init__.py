"""params.yaml: its sections, and what is checked before the first stage runs. No training depends on this room."""
