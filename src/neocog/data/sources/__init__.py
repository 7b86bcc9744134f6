"""Where images come from: one file a source, and what reading a folder of pictures takes."""
