"""How the images that a bundle was trained on were made of pictures, and how any other must be made for it."""

from typing import TypedDict

from neocog.bundle.read import Bundle

RESIZE, MAX_PIXELS = "crop", 50_000_000  # for bundles whose card does not say: the defaults of `data` in params.yaml


class Preparation(TypedDict):
    """The keywords of `decode`."""

    size: int
    channels: int
    resize: str
    max_pixels: int


def preparation(bundle: Bundle) -> Preparation:
    """What the bundle's card says; `preprocessing` may hold `resize` and `max_pixels`."""
    card = bundle.card.get("preprocessing", {})
    return {
        "size": bundle.size,
        "channels": bundle.channels,
        "resize": card.get("resize", RESIZE),
        "max_pixels": card.get("max_pixels", MAX_PIXELS),
    }
