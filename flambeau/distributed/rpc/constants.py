"""What holds where nothing is said."""

from __future__ import annotations

import datetime

DEFAULT_RPC_TIMEOUT_SEC: float = 60
DEFAULT_INIT_METHOD: str = "env://"
DEFAULT_SHUTDOWN_TIMEOUT: float = 0
DEFAULT_NUM_WORKER_THREADS: int = 16
DEFAULT_PROCESS_GROUP_TIMEOUT: datetime.timedelta = datetime.timedelta(milliseconds=(1 << 31) - 1)
UNSET_RPC_TIMEOUT: float = -1
