"""A simulated survey: a sky that is known, seen through a telescope and a camera, as the raw files of a real one."""
