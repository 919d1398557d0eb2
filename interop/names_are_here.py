"""A plugin of proxy.py: every name leads to this machine, so that checks need no DNS."""

from proxy.http.proxy import HttpProxyBasePlugin


class NamesAreHere(HttpProxyBasePlugin):
    def resolve_dns(self, host, port):
        return "127.0.0.1", None
