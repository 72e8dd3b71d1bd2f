"""Technique by technique, before against after: interleaved, exact, from how many users on."""
