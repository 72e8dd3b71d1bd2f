"""The generator of load: Locust users, open arrivals, clients, recorder.

Reads the catalogue, `phases.population` and tokens; drives an API over HTTP; writes
`load/<stage>.json` (`records.load.LoadRecord`). Everything that needs gevent stays in the locust
child process: `loadtests.run` and `loadtests.matrix`, which others import, start no greenlet.
"""
