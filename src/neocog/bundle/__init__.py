"""The one thing that leaves training: a folder with the ONNX graph, the weights and how they came to be."""
