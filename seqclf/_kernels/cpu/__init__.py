"""The compiled CPU kernels: float32, on ragged batches without padding. They call the C++ library by ctypes."""
