"""The networks' building blocks, one per file. Shapes are written (B, C, D, H, W)."""
