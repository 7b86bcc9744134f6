"""What recipes made of models: the page's chapter about compression."""
