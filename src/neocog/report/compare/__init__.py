"""The page's chapter that sets any two models against each other."""
