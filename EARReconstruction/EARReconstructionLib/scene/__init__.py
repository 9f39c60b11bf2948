"""The MRML scene: radiographs, vertebra ROIs, results and heat maps as nodes. No Qt; the scene is always an argument.

The same functions serve the desktop module, the browser app and the tests. A face keeps one RadiographViews and one
ProjectedROIs per scene, and closes them when it goes; all else are functions.
"""
