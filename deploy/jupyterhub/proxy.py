"""The proxy in front of the hub and all servers, for a whole class at once.

By itself it has ten requests answered at a time, each within 20 seconds. Ten learners who wait for their servers, whose
browsers ask how far those are, would be all that it does.
"""

from configurable_http_proxy.cli import main
from tornado.httpclient import AsyncHTTPClient

AsyncHTTPClient.configure(None, max_clients=1000, defaults={"request_timeout": 0})
main()
