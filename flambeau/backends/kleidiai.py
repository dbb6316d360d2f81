"""KleidiAI, Arm's kernels: not in this build."""


def is_available() -> bool:
    """Whether they are here."""
    return False
