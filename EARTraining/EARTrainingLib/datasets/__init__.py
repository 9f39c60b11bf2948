"""Where vertebrae come from: phantoms, masks, meshes and CT."""
