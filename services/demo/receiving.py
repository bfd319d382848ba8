"""The example's receiver of alerts, as a child that does not outlive the demo."""

import runpy
from pathlib import Path
from typing import Final

PROGRAM: Final = Path(__file__).resolve().parents[2] / "examples" / "alert_receiver.py"

if __name__ == "__main__":
    runpy.run_path(str(PROGRAM), run_name="__main__")
