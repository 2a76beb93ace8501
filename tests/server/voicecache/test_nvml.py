"""The reader against a library that says what we want, through the real loader of nvidia-ml-py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.server.voicecache.nvml_library import Pressure, build, needs_compiler, reading_child
from timbre_server.voicecache.nvml import visible_device

GIB = 1 << 30
GPU_IS_LOST, NOT_SUPPORTED = 15, 3


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def pressure(tmp_path: Path) -> Pressure:
    device = Pressure(tmp_path / "device")
    device.say(total=16 * GIB, free=10 * GIB, reserved=GIB, utilization=37, temperature=61)
    return device


@needs_compiler
def test_a_reading_is_what_the_device_says_at_that_moment(tmp_path: Path, library: Path, pressure: Pressure) -> None:
    with reading_child(tmp_path, library) as child:
        assert child.asked() == {
            "total_bytes": 16 * GIB,
            "free_bytes": 10 * GIB,
            "used_bytes": 5 * GIB,
            "allocated_bytes": 0,
            "reserved_bytes": 0,
            "utilization": 0.37,
            "temperature_celsius": 61.0,
        }
        pressure.say(free=GIB)
        now = child.asked()
        assert now is not None
        assert now["free_bytes"] == GIB


@needs_compiler
def test_memory_alone_is_read_without_the_load(tmp_path: Path, library: Path, pressure: Pressure) -> None:
    with reading_child(tmp_path, library) as child:
        reading = child.asked("memory")
    assert reading is not None
    assert (reading["utilization"], reading["temperature_celsius"]) == (None, None)


@needs_compiler
def test_what_torch_uses_is_part_of_a_reading(tmp_path: Path, library: Path, pressure: Pressure) -> None:
    with reading_child(tmp_path, library, has_torch=True) as child:
        reading = child.asked()
    assert reading is not None
    assert (reading["allocated_bytes"], reading["reserved_bytes"]) == (111, 222)


@needs_compiler
def test_an_old_driver_is_read_by_the_old_call(tmp_path: Path, pressure: Pressure) -> None:
    with reading_child(tmp_path, build(tmp_path, "-DWITHOUT_MEMORY_V2")) as child:
        for _ in range(2):
            reading = child.asked()
            assert reading is not None
            assert (reading["free_bytes"], reading["used_bytes"]) == (10 * GIB, 6 * GIB)


@needs_compiler
def test_a_library_without_the_calls_means_a_fixed_budget_and_says_so_once(tmp_path: Path, pressure: Pressure) -> None:
    with reading_child(tmp_path, build(tmp_path, "-DWITHOUT_MEMORY_V2", "-DWITHOUT_MEMORY")) as child:
        assert child.asked() is None
        assert child.asked() is None
        logged = child.end()
    assert logged.count("fixed budget") == 1
    assert "Function Not Found" in logged
    assert (tmp_path / "shut").read_text() == "shut\n", "what was opened is closed again"


def test_no_driver_means_a_fixed_budget_and_says_so_once(tmp_path: Path) -> None:
    with reading_child(tmp_path, None) as child:
        assert child.asked() is None
        assert child.asked() is None
        logged = child.end()
    assert logged.count("fixed budget") == 1


@needs_compiler
def test_a_device_that_is_lost_later_has_no_reading_until_it_is_back(
    tmp_path: Path, library: Path, pressure: Pressure
) -> None:
    with reading_child(tmp_path, library) as child:
        assert child.asked() is not None
        pressure.say(fails=GPU_IS_LOST)
        assert child.asked() is None
        pressure.say(fails=0)
        back = child.asked()
        assert back is not None
        assert back["used_bytes"] == 5 * GIB, "still by the new call"


@needs_compiler
def test_a_device_that_does_not_tell_its_load_tells_its_memory(
    tmp_path: Path, library: Path, pressure: Pressure
) -> None:
    pressure.say(fails_load=NOT_SUPPORTED)
    with reading_child(tmp_path, library) as child:
        reading = child.asked()
    assert reading is not None
    assert reading["free_bytes"] == 10 * GIB
    assert reading["utilization"] is None
    assert reading["temperature_celsius"] is None


@needs_compiler
@pytest.mark.parametrize(
    ("options", "share"),
    [
        ({}, 1),
        ({"CUDA_VISIBLE_DEVICES": "1"}, 2),
        ({"CUDA_VISIBLE_DEVICES": "1,0"}, 2),
        ({"CUDA_VISIBLE_DEVICES": "GPU-bbbb2222"}, 2),
        ({"CUDA_VISIBLE_DEVICES": "GPU-bb"}, 2),
        ({"CUDA_VISIBLE_DEVICES": "MIG-cccc3333"}, 4),
        ({"NVIDIA_VISIBLE_DEVICES": "MIG-cccc3333"}, 4),
        ({"NVIDIA_VISIBLE_DEVICES": "all"}, 1),
        ({"NVIDIA_VISIBLE_DEVICES": "7"}, 1),
        ({"CUDA_VISIBLE_DEVICES": "0", "uuid": "bbbb2222"}, 2),
        ({"uuid": "cccc3333"}, 4),
    ],
)
def test_the_device_is_the_one_that_cuda_uses(
    tmp_path: Path, library: Path, pressure: Pressure, options: dict[str, str], share: int
) -> None:
    with reading_child(tmp_path, library, **options) as child:
        reading = child.asked()
    assert reading is not None
    assert reading["total_bytes"] == 16 * GIB // share


@needs_compiler
def test_of_a_gpu_that_is_split_its_instance_is_read(tmp_path: Path, library: Path, pressure: Pressure) -> None:
    pressure.say(split=1)
    with reading_child(tmp_path, library) as child:
        reading = child.asked()
    assert reading is not None
    assert reading["total_bytes"] == 4 * GIB


@needs_compiler
@pytest.mark.parametrize("variables", [{"CUDA_VISIBLE_DEVICES": ""}, {"CUDA_VISIBLE_DEVICES": "GPU-unknown"}])
def test_a_device_that_is_not_there_means_a_fixed_budget(
    tmp_path: Path, library: Path, pressure: Pressure, variables: dict[str, str]
) -> None:
    with reading_child(tmp_path, library, **variables) as child:
        assert child.asked() is None
        assert "fixed budget" in child.end()


@needs_compiler
def test_closing_lets_go_of_the_driver(tmp_path: Path, library: Path, pressure: Pressure) -> None:
    with reading_child(tmp_path, library) as child:
        child.asked("close")
    assert (tmp_path / "shut").read_text() == "shut\n"


@pytest.mark.parametrize(
    ("environment", "ordinal", "name"),
    [
        ({}, 1, "1"),
        ({"CUDA_VISIBLE_DEVICES": " 3 , 2"}, 1, "2"),
        ({"CUDA_VISIBLE_DEVICES": "0,-1,1"}, 1, None),
        ({"CUDA_VISIBLE_DEVICES": "0"}, 1, None),
        ({"CUDA_VISIBLE_DEVICES": "NoDevFiles"}, 0, None),
        ({"NVIDIA_VISIBLE_DEVICES": "void"}, 0, None),
        ({"NVIDIA_VISIBLE_DEVICES": ""}, 0, "0"),
        ({"NVIDIA_VISIBLE_DEVICES": "5,GPU-x"}, 1, "GPU-x"),
        ({"CUDA_VISIBLE_DEVICES": "1", "NVIDIA_VISIBLE_DEVICES": "GPU-a,GPU-b"}, 0, "1"),
    ],
)
def test_a_visible_device_is_named_as_nvml_finds_it(
    environment: dict[str, str], ordinal: int, name: str | None
) -> None:
    assert visible_device(ordinal, environment) == name
