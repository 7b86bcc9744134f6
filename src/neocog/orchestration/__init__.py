"""Around the DVC graph: what is put right before `dvc repro`, and stages that share their imports."""
