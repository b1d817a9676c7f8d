"""``pip`` inside a command line that is run to the letter; see `kedge.launcher.installers`."""

import sys

from kedge.launcher.installers import pip as main

if __name__ == "__main__":
    sys.exit(main())
