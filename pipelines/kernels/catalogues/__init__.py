"""Kernels on rows instead of pixels: positions and fluxes of one image beside those of a reference catalogue.

``matching`` pairs positions; ``astrometry`` fits the coordinates of the image to such pairs, and finds them where the
header is far off; ``zero_point`` fits the magnitude of a flux of 1.
"""
