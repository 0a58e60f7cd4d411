import pytest


@pytest.mark.parametrize("path", ["a/b", "x" * 300])
def test_below(path):
    pass
