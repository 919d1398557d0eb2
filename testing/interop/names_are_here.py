"""A plugin for proxy.py: every name resolves to this machine, so that checks need no DNS, and is logged before the connection."""

import logging

from proxy.http.proxy import HttpProxyBasePlugin


class NamesAreHere(HttpProxyBasePlugin):
    def resolve_dns(self, host, port):
        logging.getLogger(__name__).info("asked for %s:%s", host, port)
        return "127.0.0.1", None
