"""The notebook runs in a kernel of its own, and shows what the functions find."""

import re
import shutil
import tempfile
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from traitlets.config import Config

from lq_spark import multiclass

REPOSITORY = Path(__file__).resolve().parents[2]
DATA = Path("scripts", "data", "digits.parquet")
QUICKSTART = Path("jobs", "notebooks", "quickstart.ipynb")

MAX_SECONDS = 180
"""Of a cell: more than all take together where nothing else runs."""

FROM_THE_ROOT = "import os\nos.chdir(root)\n{}\nassert root == Path.cwd()"
"""A last cell: the one that looks for the data does so from the project's folder, too."""


def files_of(folder):
    return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}


def source(notebook, text):
    """Return the source of the one cell that has a text."""
    (found,) = [cell.source for cell in notebook.cells if text in cell.source]
    return found


def outputs_of(notebook):
    return [output for cell in notebook.cells for output in cell.get("outputs", ())]


def text_with(outputs, part):
    """Return the text, or the HTML, of the one output that has a part in it."""
    data = [output.get("data", {}) for output in outputs]
    shown = [
        output.get("text") or of.get("text/html") or of.get("text/plain", "")
        for output, of in zip(outputs, data, strict=True)
    ]
    (found,) = [text for text in shown if part in text]
    return found


@pytest.fixture(scope="module")
def project():
    """A folder with nothing but what a notebook needs of the project."""
    # Of a short name: a socket's is at most 100 characters long.
    with tempfile.TemporaryDirectory(prefix="nb") as name:
        folder = Path(name)
        for path in (DATA, QUICKSTART):
            (folder / path).parent.mkdir(parents=True)
            shutil.copy(REPOSITORY / path, folder / path)
        yield folder


@pytest.fixture(scope="module")
def executed(project):
    """The notebook after it has run in its own folder."""
    notebook = nbformat.read(project / QUICKSTART, as_version=4)
    last = FROM_THE_ROOT.format(source(notebook, "read.parquet"))
    notebook.cells.append(nbformat.v4.new_code_cell(last))
    with tempfile.TemporaryDirectory(prefix="nb") as own, pytest.MonkeyPatch.context() as patch:
        # A user's settings and start-up files stay out of it, and so does all that it leaves there.
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
            patch.setenv(name, own)
        patch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
        # By a socket that is a file, since the kernel warns of one that the network might reach.
        manager = {"transport": "ipc", "connection_file": f"{own}/kernel.json"}
        NotebookClient(
            notebook,
            timeout=MAX_SECONDS,
            startup_timeout=MAX_SECONDS,
            resources={"metadata": {"path": str((project / QUICKSTART).parent)}},
            config=Config({"KernelManager": manager}),
        ).execute()
    return notebook


def test_it_is_stored_as_it_is_to_be_run():
    notebook = nbformat.read(REPOSITORY / QUICKSTART, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [(cell.outputs, cell.execution_count) for cell in cells] == [([], None)] * len(cells)


def test_it_runs_without_an_error_or_a_warning(executed):
    outputs = outputs_of(executed)
    kinds = {output.output_type for output in outputs}
    assert kinds == {"stream", "display_data", "execute_result"}
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []


def test_it_shows_what_the_functions_find(executed, spark):
    df = spark.read.parquet(str(REPOSITORY / DATA))
    issues = multiclass.find_issues(df, id="id").where("is_label_issue")
    n_issues, n_wrong = issues.count(), issues.where("label != true_label").count()
    outputs = outputs_of(executed)
    counts = text_with(outputs, "label issues, ")
    assert counts.startswith(f"{n_issues} label issues, {n_wrong} of which are wrong labels")
    health = multiclass.summarize(df).overall_label_health_score
    assert f"health score {health:.4g}" in text_with(outputs, "<b>DatasetHealth</b>")
    assert re.search(rf">label</td>.*?>{n_issues}</td>", text_with(outputs, "<b>Audit</b>"))
    assert f"label: {n_issues} issues" in text_with(outputs, "audit of ")
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2


def test_it_leaves_a_report_and_nothing_else(executed, project):
    report = Path("out", "digits_audit.html")
    assert files_of(project) == {DATA, QUICKSTART, report}
    assert "<title>" in (project / report).read_text(encoding="utf-8")
