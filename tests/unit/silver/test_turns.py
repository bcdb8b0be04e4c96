"""Who looks at silver's tables together sees them between two batches, however closely those follow each other."""

import threading
import time

from cinelake.settings import Settings
from lakehouse.silver import turns


def test_who_looks_sees_no_batch_half_written_though_they_follow_without_a_pause(
    lake: Settings,
) -> None:
    tables = [0, 0]
    is_over = threading.Event()

    def write() -> None:
        while not is_over.is_set():
            with turns.batch(lake):
                tables[0] += 1
                time.sleep(0.05)
                tables[1] += 1

    # Two queries, so that one always waits for the other.
    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    try:
        for _ in range(3):
            with turns.between_batches(lake):
                first, second = tables
                time.sleep(0.06)
                assert tables == [first, second]
                assert first == second
    finally:
        is_over.set()
        for writer in writers:
            writer.join()
    assert tables[0] > 0
