"""Data, X-rays, training and studies of EAR. Imports EARReconstructionLib, never the other way round."""
