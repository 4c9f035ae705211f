"""What the fork server imports, so that the processes of all points have it already."""

from vlrouting.training.quick_imports import quick_imports

quick_imports()

import vlrouting.launch.in_process  # noqa: E402
import vlrouting.training.point  # noqa: E402, F401
