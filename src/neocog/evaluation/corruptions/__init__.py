"""Image corruptions of ImageNet-C: the 15 of Hendrycks & Dietterich, one file a family."""
