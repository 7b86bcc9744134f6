"""The page's chapter about how far a model's own confidence can be trusted, and for which images."""
