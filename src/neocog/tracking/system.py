"""System metrics of the machine, under the names of MLflow's page "System metrics"."""

import os
from collections.abc import Callable

import psutil


class SystemSampler:
    """Samples the machine and the process `pid`. To be used in the thread that made it, where CPU time is counted."""

    def __init__(self, pid: int) -> None:
        psutil.cpu_percent()  # the first call has nothing to compare with
        self._process = psutil.Process(pid)
        self._devices = _gpus()

    def sample(self) -> dict[str, float]:
        """Percentages since the last call, megabytes (10^6 bytes), watts. `process`: `pid` with its children but us."""
        memory = psutil.virtual_memory()
        values = {
            "system/cpu_utilization_percentage": psutil.cpu_percent(),
            "system/system_memory_usage_megabytes": memory.used / 1e6,
            "system/system_memory_usage_percentage": memory.percent,
        }
        try:
            family = [self._process, *self._process.children(recursive=True)]
            resident = sum(_resident(process) for process in family if process.pid != os.getpid())
            values["system/process_memory_usage_megabytes"] = resident / 1e6
        except psutil.Error:
            pass
        for read in self._devices:
            values |= read()
        return values


def _resident(process: psutil.Process) -> int:
    try:
        return process.memory_info().rss
    except psutil.Error:
        return 0


def _gpus() -> list[Callable[[], dict[str, float]]]:
    """One reader a GPU; none without the NVIDIA driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError:
        return []

    def reader(index: int, handle: object) -> Callable[[], dict[str, float]]:
        def read() -> dict[str, float]:
            try:
                memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
                return {
                    f"system/gpu_{index}_utilization_percentage": float(
                        pynvml.nvmlDeviceGetUtilizationRates(handle).gpu
                    ),
                    f"system/gpu_{index}_memory_usage_megabytes": memory.used / 1e6,
                    f"system/gpu_{index}_memory_usage_percentage": 100 * memory.used / memory.total,
                    f"system/gpu_{index}_power_usage_watts": pynvml.nvmlDeviceGetPowerUsage(handle) / 1000,
                }
            except pynvml.NVMLError:
                return {}

        return read

    return [reader(index, handle) for index, handle in enumerate(handles)]
