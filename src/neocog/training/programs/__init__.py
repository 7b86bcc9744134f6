"""One file a way of learning other than by epochs of gradient steps."""
