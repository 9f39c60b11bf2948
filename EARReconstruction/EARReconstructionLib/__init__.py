"""EAR: edge-aware reconstruction of vertebrae from bi-planar X-rays (arXiv 2407.20937). The runtime library.

Import the part that you need (``EARReconstructionLib.reconstruction``, ``.surface`` ...): importing the package
itself loads nothing, so that 3D Slicer starts without torch.
"""

__version__ = "0.3.0"
