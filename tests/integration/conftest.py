"""The flows are not part of the package; they are found from the root of the repository, as Prefect finds them."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))
