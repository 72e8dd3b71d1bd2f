"""What checks phasegate itself: peers, limits, detectors. Run from a checkout, not in the wheel."""

from phasegate.__main__ import sort_without_avx512

sort_without_avx512()  # as the command does, before anything imports numpy
