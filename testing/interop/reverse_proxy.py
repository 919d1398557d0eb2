"""nginx with Debian's settings in front of a service, and a relay whose connections can be closed."""

import os
import socket
import threading
from contextlib import contextmanager
from pathlib import Path

from programs import WORK, Http, free_port, program


@contextmanager
def nginx(name, url, path="/"):
    """Yields the URL of an nginx in front of the service at this URL, below this path. Its settings are Debian's, except for its address, files and upstream."""
    folder = WORK / "data" / f"{name}-nginx"
    folder.mkdir(parents=True, exist_ok=True)
    address = f"127.0.0.1:{free_port()}"
    site = folder / "site.conf"
    site.write_text(f"server {{ listen {address}; location {path} {{ proxy_pass {url}/; }} }}\n")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    shipped = Path("/etc/nginx/nginx.conf").read_text()
    for theirs, ours in [
        ("user www-data;", "user root;" if os.geteuid() == 0 else ""),
        ("/run/nginx.pid", f"{folder}/pid"),
        ("/var/log/nginx/", f"{folder}/"),
        ("include /etc/nginx/conf.d/*.conf;", "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)),
        ("/etc/nginx/sites-enabled/*", str(site)),
    ]:
        assert theirs in shipped, theirs
        shipped = shipped.replace(theirs, ours)
    # A single process, which ends on a signal.
    (folder / "nginx.conf").write_text(f"daemon off;\nmaster_process off;\n{shipped}")
    command = ["/usr/sbin/nginx", "-p", folder, "-e", folder / "error.log", "-c", folder / "nginx.conf"]
    with program(f"{name}-nginx", command, ready=lambda: Http(f"http://{address}").is_ok(f"{path}readyz")):
        yield f"http://{address}{path}".rstrip("/")


class Relay:
    """Forwards connections to a port of this machine until they are closed; new ones work again."""

    def __init__(self, port):
        self.port = port
        self.pairs = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                client = self.greet(client)
            except OSError:
                continue  # the client closed, or does not trust the certificate
            server = socket.create_connection(("127.0.0.1", self.port))
            self.pairs.append((client, server))
            for a, b in ((client, server), (server, client)):
                threading.Thread(target=self._carry, args=(a, b), daemon=True).start()

    def greet(self, client):
        """A handshake before anything is forwarded; returns the connection to use."""
        return client

    @staticmethod
    def _carry(source, target):
        try:
            while piece := source.recv(65536):
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def cut(self):
        """Ends every connection that is open."""
        pairs, self.pairs = self.pairs, []
        for pair in pairs:
            for end in pair:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # it is already closed
                end.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
        self.cut()
