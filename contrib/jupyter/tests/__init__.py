"""Tests of supervise_jupyter, with kernels of ipykernel. They want supervise_jupyter to be installed: see integration/jupyter."""
