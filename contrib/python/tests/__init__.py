"""Tests of supervise_api with the `supervise` on PATH: python3 -m unittest, in the directory above."""
