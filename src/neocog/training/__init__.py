"""One LightningModule and one `fit()` for everything that ever trains."""
