"""The command: ``PYTHONPATH=tests python -m support.random_queries --help``."""

import sys

from support.random_queries.running import main

sys.exit(main())
