"""The child process of a report run: executes one notebook and says what became of it.

A process of its own, because papermill's working directory belongs to the process, a dying
kernel must not take other reports with it, and a run over its time can then be killed whole.
"""

import json
import sys
import warnings
from pathlib import Path

OUTCOME = "outcome.json"


def main(attempt: str) -> int:
    """Execute the attempt described by ``spec.json`` in its folder; write the notebook and ``outcome.json``."""
    folder = Path(attempt)
    spec = json.loads((folder / "spec.json").read_text(encoding="utf-8"))
    outcome = _execute(spec, folder)
    (folder / OUTCOME).write_text(json.dumps(outcome, ensure_ascii=False), encoding="utf-8")
    return 0


def _execute(spec: dict[str, object], folder: Path) -> dict[str, object]:
    # Output of the executed notebook is judged by the exception alone: after a time-out or a dead
    # kernel papermill's own file claims that every cell completed.
    warnings.simplefilter("ignore")
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError
    from papermill.execute import execute_notebook

    try:
        execute_notebook(  # type: ignore[no-untyped-call]
            spec["notebook"],
            str(folder / "notebook.ipynb"),
            parameters=spec["parameters"],
            kernel_name="python3",
            cwd=spec["cwd"],
            execution_timeout=spec["cell_timeout_s"],
            progress_bar=False,
            request_save_on_cell_execute=True,
        )
    except CellTimeoutError as error:
        return {"status": "timed_out", "error": _first_line(error)}
    except DeadKernelError:
        return {"status": "killed", "error": "the kernel died, most likely killed for want of memory"}
    except PapermillExecutionError as error:
        return {"status": "failed", "error": f"cell {error.cell_index + 1}: {error.ename}: {error.evalue}"}
    return {"status": "ok", "error": None}


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
