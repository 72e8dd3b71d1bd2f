"""The domain, pure: phases, workload model, population model, catalogue, errors.

Reads `catalogue.toml`. Knows no other room, opens no database, draws nothing.
"""
