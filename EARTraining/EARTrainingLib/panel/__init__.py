"""The panel of EAR Training in 3D Slicer: a Section for each step, on the Panel of EARReconstructionLib.

A face: it asks the commands `ear` for all that takes time, each in a process of its own, and shows what they made.
"""
