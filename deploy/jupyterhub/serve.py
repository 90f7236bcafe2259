"""A learner's server: brings the notebooks in their home up to date, then becomes what JupyterHub calls and watches.

Theirs is on the volume: work/ with their copies, and build/ with what they saw. All else is in the image.
"""

import os
import sys
import tempfile
from pathlib import Path

from labsupport.errors import LabError
from labsupport.notebooks import all_notebooks
from labsupport.project import this_project
from labsupport.starting import calling_account, configure
from labsupport.workspace import hand_out

project = this_project()
try:
    for folder in (project.work, project.build):
        folder.resolve().mkdir(exist_ok=True)
    for name in hand_out(project, all_notebooks(project)).kept:
        print(f"work/{name} was edited, so its newer edition was not put in its place.", flush=True)
    configure(project, calling_account(), Path.home() / ".jupyter")
except (OSError, LabError) as problem:
    # Who has filled the volume needs the server to make room on it.
    print(problem, flush=True)
# What it cannot run without is not on the volume; and what is deleted there goes: a trash bin would be on it too.
os.environ["JUPYTER_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="jupyter-")
server = ["jupyterhub-singleuser", "--FileContentsManager.delete_to_trash=False", *sys.argv[1:]]
os.execvp(server[0], server)
