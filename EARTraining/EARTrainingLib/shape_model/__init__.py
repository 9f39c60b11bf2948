"""The classical baseline: a statistical shape model fitted to two X-rays through its own projections."""
