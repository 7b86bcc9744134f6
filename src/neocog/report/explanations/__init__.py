"""The page's chapter on where the networks looked."""
