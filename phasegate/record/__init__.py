"""From recordings (HAR files) of what users do to a project's `loadtests/locustfile.py`.

Reads HAR files and, where asked, the statements of a database (`pg_stat_statements`); writes one
locustfile, never over one that is there. No secret of a recording is written.
"""

from phasegate.record.record import Recorded, record, write_locustfile

__all__ = ["Recorded", "record", "write_locustfile"]
