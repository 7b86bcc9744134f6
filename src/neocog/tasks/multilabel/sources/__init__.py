"""Where images with several labels come from: one file a source."""
