"""Calibration over visits: zero points and coordinates of all images of a survey, solved together."""
