"""What the fork server imports, so that the processes of all points have it already."""

from vlrouting.training.quick_imports import quick_imports

with quick_imports():
    import vlrouting.launch.in_process
    import vlrouting.training.point  # noqa: F401
