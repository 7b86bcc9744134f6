"""What takes long to import stays warm from one stage of a `dvc repro` to the next."""
