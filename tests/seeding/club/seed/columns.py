"""What TOML cannot say of the club: a text that depends on when it was written."""

import numpy as np


def shout(block):
    """Loud in the second half of the time."""
    late = block.rows.created_ms > 100 * 86_400_000
    return np.where(late, "HELLO", "hello")
