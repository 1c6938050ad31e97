"""What the instrument did to the light is found in calibration frames and taken away from exposures.

``combination`` makes one frame of many, ``flat_fields`` the response of pixels and ``defects`` the boxes of bad ones;
``signature`` applies all of them to a raw image.
"""
