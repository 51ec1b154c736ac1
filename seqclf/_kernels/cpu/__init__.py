"""Our own CPU kernels: ragged, float32, without a step for padding. They call the C++ library behind ctypes."""
