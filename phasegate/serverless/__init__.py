"""Clients that behave as serverless functions: instances that come and go, a pool in each.

    fleet (which instance serves a request) → simulation
    fleet → pool (its connections) → climb (users until one is refused) ← target (what is driven)

`model.serverless` says from how many users on connections run out; here real ones do.
"""
