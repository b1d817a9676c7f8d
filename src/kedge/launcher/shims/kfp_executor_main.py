"""``python3 -m kfp.dsl.executor_main``, as the shell line of a compiled Python component calls it."""

import sys

from kedge.launcher.contract import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
