"""What a bundle answers: to files (`neocog predict`), over HTTP (`neocog serve`), inside MLflow. No torch."""
