"""The step's source once more, in a process that `multiprocessing` has spawned.

Such a process runs its parent's main module under the name ``__mp_main__``. A step's main module is no file: this one, named by
its spec, stands in and executes the same source.
"""

from kedge.launcher.function import execute
from kedge.launcher.step import read_code, read_step

execute(read_code(read_step()), globals())
