"""One script a stage, named as in dvc.yaml: read its params, call the library, write its outs."""
