"""What checks phasegate itself: peers, limits, detectors. Run from a checkout, not in the wheel."""
