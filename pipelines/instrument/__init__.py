"""QCam: the camera, its raw files, and what the Butler must know of both."""
