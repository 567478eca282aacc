"""What a process has used it gives back."""

import subprocess
import sys

import pytest

PROGRAM = """
import threading
from davserver.http.memory import give_back_large_blocks

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

def hash_a_password(together):
    block = bytearray(19 << 20)
    block[::4096] = bytes(len(block) // 4096)
    together.wait(30)

give_back_large_blocks()
before = resident()
for _ in range(3):
    together = threading.Barrier(6)
    threads = [threading.Thread(target=hash_a_password, args=(together,)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
print((resident() - before) >> 20)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_what_many_threads_took_for_a_moment_goes_back_to_the_system() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    assert int(done.stdout) < 19
