"""Predictions of a bundle: for files (`neocog predict`), over HTTP (`neocog serve`), inside MLflow. No torch."""
