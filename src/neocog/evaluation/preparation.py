"""Preprocessing of a bundle: how its training images were made of pictures, and how any other must be."""

from neocog.bundle.read import Bundle
from neocog.data.decoding.decode import Preparation
from neocog.data.decoding.resize import INTERPOLATION

RESIZE, MAX_PIXELS = "crop", 50_000_000  # for bundles whose card does not say: the defaults of `data` in params.yaml


def preparation(bundle: Bundle) -> Preparation:
    """What the bundle's card says; `preprocessing` may hold `resize`, `interpolation`, `max_pixels`, `background`
    and `bits`.

    Where it names no background, the bundle is from the time when padding was black, on whatever transparency was laid.
    """
    card = bundle.card.get("preprocessing", {})
    return {
        "size": bundle.size,
        "channels": bundle.channels,
        "resize": card.get("resize", RESIZE),
        "interpolation": card.get("interpolation", INTERPOLATION),
        "max_pixels": card.get("max_pixels", MAX_PIXELS),
        "background": card.get("background", "white"),
        "padding": card.get("background", "black"),
        "bits": card.get("bits", 16),
    }
