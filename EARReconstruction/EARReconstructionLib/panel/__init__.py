"""The panel of EAR Reconstruction in 3D Slicer: one Panel, and one Section for each step of the work.

A face: it may know Qt, ctk and Slicer. What it does, it asks of ``scene`` and of the core.
"""
