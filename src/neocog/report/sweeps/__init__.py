"""The page's chapter about tuning."""
