"""The paper's experiments, one file each: comparison, modules, losses, angles."""
