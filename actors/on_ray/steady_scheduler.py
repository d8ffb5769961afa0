"""APScheduler by monotonic time: a job goes on at its interval when somebody sets the wall clock."""

import time
from datetime import timedelta
from typing import Any

from apscheduler.schedulers.asyncio import AsyncIOScheduler

STEP_SECONDS = 0.1
"""A smaller difference between the clocks is left to grow: it delays a job by no more than itself."""


class SteadyScheduler(AsyncIOScheduler):  # type: ignore[misc]
    """The library notes by wall time when a job is next due, and sleeps by the loop's time, which never steps. Each time that it
    wakes, and before a job is added, what was noted is moved by as much as the wall clock was set since. Without that a clock
    set back by a day leaves every job waiting for a day.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._ahead_seconds = time.time() - time.monotonic()

    def _follow_steps(self) -> None:
        ahead_seconds = time.time() - time.monotonic()
        step_seconds = ahead_seconds - self._ahead_seconds
        if abs(step_seconds) < STEP_SECONDS:
            return
        self._ahead_seconds = ahead_seconds
        with self._jobstores_lock:
            for store in self._jobstores.values():
                for job in store.get_all_jobs():
                    if job.next_run_time is not None:
                        job._modify(next_run_time=job.next_run_time + timedelta(seconds=step_seconds))
                        store.update_job(job)

    def add_job(self, *arguments: Any, **options: Any) -> Any:
        """See the library. The new job's time is by the wall clock as it is now, so the others' must be too."""
        self._follow_steps()
        return super().add_job(*arguments, **options)

    def _process_jobs(self) -> Any:
        self._follow_steps()
        return super()._process_jobs()
