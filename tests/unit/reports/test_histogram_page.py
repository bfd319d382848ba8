"""The page that shows why no figure is read from a histogram of answers says what the read model answers."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_page_of_histograms_is_what_the_command_writes() -> None:
    ran = subprocess.run(
        [sys.executable, ROOT / "scripts" / "histogram_doc.py", "--check"], cwd=ROOT, check=False
    )

    assert ran.returncode == 0, "python scripts/histogram_doc.py"


def test_the_page_shows_what_the_definitions_were_published_with() -> None:
    page = (ROOT / "docs" / "histograms.md").read_text(encoding="utf-8")

    assert "| a histogram of answers | 84.3 % | 3.8 h | 10.2 h | 49.0 h |" in page
    assert "| S1 and S11 of `reports` | 71.1 % | 5.1 h | " in page
