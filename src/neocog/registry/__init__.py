"""Which model is the champion, and how it gets into MLflow's model registry."""
