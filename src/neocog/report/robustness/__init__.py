"""The page's chapter about corrupted images (ImageNet-C)."""
