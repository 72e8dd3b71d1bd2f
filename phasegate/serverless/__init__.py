"""Clients that behave as serverless functions: instances that come and go, a pool in each.

    fleet (which instance serves a request) → pool (its connections) → drive (users until refused)

`model.serverless` says from how many users on connections run out; here real ones do.
"""
