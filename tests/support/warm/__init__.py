"""Python programs of tests without their imports."""
