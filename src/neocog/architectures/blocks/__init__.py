"""Building blocks that every architecture is made of, and that params may exchange: `norm: group` in an architecture's block.

One file a key (`norm`, `activation`, `pooling`, `global_pooling`, `padding`, `init`), each with `apply(model, choice)`, which exchanges
in place what the network has of that kind. An architecture's `BLOCKS` names the keys that make sense for it.
"""
