"""What all tests share."""

from __future__ import annotations

import os

from hypothesis import settings

# Before any library starts its pool: the tests share few cores, and one thread is reproducible.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A busy machine is slow, and that is no failure.
settings.register_profile("visagist", deadline=None)
settings.load_profile("visagist")

try:
    import torch
except ImportError:  # the base install runs its part of the tests without the training extra
    pass
else:
    torch.set_num_threads(1)
