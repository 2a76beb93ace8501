"""A file of the tests goes to one worker, and those of the cluster go to two, which start a control plane each."""

from pathlib import Path

from tests.spreading import CLUSTER, SECOND_HALF, together

_ROOT = Path(__file__).resolve().parents[1]


def test_two_workers_take_the_files_of_the_cluster() -> None:
    files = {str(path.relative_to(_ROOT)) for path in (_ROOT / CLUSTER).glob("test_*.py")}
    assert SECOND_HALF in files
    assert len(set(map(together, files))) == 2


def test_every_other_file_may_go_to_any_worker() -> None:
    for file in ("tests/chart/test_install.py", "tests/operator/cluster/test_lease.py", "tests/test_spreading.py"):
        assert together(file) == file
