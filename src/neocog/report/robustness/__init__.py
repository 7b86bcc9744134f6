"""The page's chapter about spoilt images."""
