"""The kernels again in plain NumPy: slow, short, the oracle of the tests and the peer of the benchmarks."""
