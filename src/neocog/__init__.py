"""neocog: train, tune, compress and compare convolutional networks, reproducibly."""
