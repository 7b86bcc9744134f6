"""Bundle: a folder with the ONNX graph, the weights and their provenance; all that leaves a training."""
