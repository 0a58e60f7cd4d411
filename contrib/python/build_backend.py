"""Builds the wheel and the sdist of supervise_api and supervise_pytest (PEP 517), with nothing but the standard library."""

import base64
import hashlib
import io
import os
import tarfile
import zipfile
from typing import Dict, List, Mapping, Optional

NAME = "supervise_api"
VERSION = "1.0.0"

_METADATA = """\
Metadata-Version: 2.1
Name: {}
Version: {}
Summary: Run commands so that nothing they start can outlive them
License: MIT
Classifier: Operating System :: POSIX :: Linux
Classifier: Programming Language :: Python :: 3
Classifier: Typing :: Typed
Requires-Python: >=3.8
""".format(NAME, VERSION)

_WHEEL = """\
Wheel-Version: 1.0
Generator: build_backend
Root-Is-Purelib: true
Tag: py3-none-any
"""

_ENTRY_POINTS = """\
[pytest11]
supervise = supervise_pytest
"""

_PACKAGES = [NAME, "supervise_pytest"]

_INFO = "{}-{}.dist-info".format(NAME, VERSION)
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same sources make the same bytes

_Config = Optional[Mapping[str, object]]


def build_wheel(wheel_directory: str, config_settings: _Config = None, metadata_directory: Optional[str] = None) -> str:
    """Make the wheel; return its name."""
    name = "{}-{}-py3-none-any.whl".format(NAME, VERSION)
    contents = _read(_packages())
    for file, text in (("METADATA", _METADATA), ("WHEEL", _WHEEL), ("entry_points.txt", _ENTRY_POINTS)):
        contents["{}/{}".format(_INFO, file)] = text.encode()
    record = "".join(_record_line(path, data) for path, data in contents.items())
    contents[_INFO + "/RECORD"] = (record + _INFO + "/RECORD,,\n").encode()
    with zipfile.ZipFile(os.path.join(wheel_directory, name), "w") as wheel:
        for path, data in contents.items():
            entry = zipfile.ZipInfo(path, _EPOCH)
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            wheel.writestr(entry, data)
    return name


def build_sdist(sdist_directory: str, config_settings: _Config = None) -> str:
    """Make the sdist; return its name."""
    top = "{}-{}".format(NAME, VERSION)
    contents = _read(["pyproject.toml", "build_backend.py", *_packages(), *_sources("tests"), *_sources("examples")])
    contents["PKG-INFO"] = _METADATA.encode()
    with tarfile.open(os.path.join(sdist_directory, top + ".tar.gz"), "w:gz", format=tarfile.PAX_FORMAT) as sdist:
        for path, data in contents.items():
            entry = tarfile.TarInfo("{}/{}".format(top, path))
            entry.size, entry.mode = len(data), 0o644
            sdist.addfile(entry, io.BytesIO(data))
    return top + ".tar.gz"


def _packages() -> List[str]:
    return [path for package in _PACKAGES for path in _sources(package)]


def _sources(package: str) -> List[str]:
    names = sorted(name for name in os.listdir(package) if name.endswith((".py", ".typed")))
    return ["{}/{}".format(package, name) for name in names]


def _read(paths: List[str]) -> Dict[str, bytes]:
    contents = {}
    for path in paths:
        with open(path, "rb") as file:
            contents[path] = file.read()
    return contents


def _record_line(path: str, data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return "{},sha256={},{}\n".format(path, digest, len(data))
