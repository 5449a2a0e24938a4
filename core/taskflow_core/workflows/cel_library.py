"""The CEL library without its command line, whose terminal interface it loads with it: 12 MB in every process.

An empty module stands in the place of the command line before the library is loaded. Import `cel` from here only.
"""

import sys
from types import ModuleType

sys.modules.setdefault("cel.cli", ModuleType("cel.cli"))

import cel  # noqa: E402 - after what is to be left out
from cel.stdlib import STDLIB_FUNCTIONS  # noqa: E402

__all__ = ["STDLIB_FUNCTIONS", "cel"]
