"""An object store on this machine, for tests: ``python -m tests.engine.sources.library.bucket NAME`` prints its port."""

from __future__ import annotations

import sys
import urllib.request

from moto.server import ThreadedMotoServer


def main() -> None:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    made = urllib.request.Request(f"http://127.0.0.1:{port}/{sys.argv[1]}", method="PUT")
    urllib.request.urlopen(made, timeout=60).close()
    print(port, flush=True)
    sys.stdin.read()  # until whoever started it is gone


if __name__ == "__main__":
    main()
