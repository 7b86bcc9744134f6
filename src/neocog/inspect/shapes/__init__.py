"""Layer shapes of a network: sizes, receptive fields, parameters, multiply-accumulates, memory, unused pixels."""
