"""Networks for segmentation, one file each, over any backbone by name; outputs are logits [N, K, H, W] as large as the image."""
