"""What the documents say exists, exists; and the README's table is the leaderboard that the committed metrics give."""

import csv
import io
import re
import subprocess

import pytest
from imports import ROOT

from neocog import architectures

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document):
    links = re.findall(r"\]\(([^)#]+)\)", document.read_text())
    for link in links:
        if "://" not in link:
            assert (document.parent / link).exists(), link


def committed(name: str) -> str:
    """A file as it was committed: a `dvc repro` on this machine writes its own."""
    return subprocess.run(["git", "show", f"HEAD:{name}"], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_the_table_in_the_readme_is_the_committed_leaderboard():
    found = csv.DictReader(io.StringIO(committed("reports/leaderboard.csv")))
    rows = [row for row in found if row["kind"] == "trained"]
    readme = (ROOT / "README.md").read_text()
    assert len(rows) == len(architectures.names()) - 1, "all but timm"
    for row in rows:
        cells = (
            row["architecture"],
            row["year"],
            f"{float(row['top1']):.2%}",
            f"{int(row['params']):,}",
            f"{float(row['latency_ms_p50']):.3f}",
            f"{float(row['throughput_ips']):,.0f}",
            f"{float(row['train_seconds']):.0f}",
        )
        [line] = [line for line in readme.splitlines() if line.startswith(f"| {row['architecture']} ")]
        found = [cell.strip() for cell in line.strip("|").split("|")]
        assert set(cells) <= set(found), f"{set(cells) - set(found)} of {row['model']} do not stand in the README"


def test_make_help_names_every_target():
    targets = set(re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"help", "repro", "test", "check", "ui", "clean"} <= targets
