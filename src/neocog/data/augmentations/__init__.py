"""Augmentations that `train.augment` lists: what there is and what each may be set to (card.py), and what they do (methods.py)."""
