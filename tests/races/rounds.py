"""How often the races are run: a few times with the suite, in full by hand with WATCHWORD_TEST_ROUNDS=full."""

import os

IS_FULL = os.environ.get("WATCHWORD_TEST_ROUNDS") == "full"

ROUNDS = 100 if IS_FULL else 5
RESETS = 500 if IS_FULL else 30
KILLS = 100 if IS_FULL else 2
