"""The generator of load: Locust users, open arrivals, clients, recorder.

Reads the catalogue, `model.population` and tokens; drives an API over HTTP; writes
`load/<stage>.json` (`records.load.LoadRecord`). Everything that needs gevent stays in the locust
child process: `load.run` and `load.capacity_matrix`, which others import, start no greenlet.
"""
