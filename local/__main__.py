"""``python -m local``: AWS on this machine."""

import sys

from local.stack import main

sys.exit(main())
