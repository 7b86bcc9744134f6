"""The page's chapter about the data: labels that look wrong, and images that two splits share."""
