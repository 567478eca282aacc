"""``python -m davserver`` is ``davserver``."""

import sys

from davserver.cli import main

if __name__ == "__main__":
    sys.exit(main())
