"""The API under test: Supabase's dialect of HTTP over one Postgres database.

    request → identity → parameters → query → plan → compile → database → answer

Clients of this room need `running_api` alone; everything else runs in the child process.
"""

from phasegate.api.launch import Api, Started, running_api, start_api, stop_api
from phasegate.api.settings import ApiSettings

__all__ = ["Api", "ApiSettings", "Started", "running_api", "start_api", "stop_api"]
