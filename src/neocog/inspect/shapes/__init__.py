"""What happens to an image in a network, layer by layer: sizes, receptive fields, parameters, multiplications, memory, unused pixels."""
