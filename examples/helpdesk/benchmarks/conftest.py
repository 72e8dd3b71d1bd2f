"""`pytest benchmarks` collects the techniques beside this file: phasegate's own plug-in does."""

pytest_plugins = ["phasegate.compare.pytest_plugin"]
