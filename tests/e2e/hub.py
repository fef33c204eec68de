"""A model hub of the tests' own: one repository out of a folder, with ranges, and connections it drops."""

import hashlib
import http.server
import json
import pathlib
import threading

REVISION = "5" * 40


class Hub:
    """Serves `folder` as the model `repo`. `drop_after` breaks the first answer for weights after so many bytes."""

    def __init__(self, repo: str, folder: pathlib.Path, drop_after: int | None = None):
        self.repo = repo
        self.files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        self.drop_after = drop_after
        self.ranges: list[str | None] = []
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def listing(self) -> dict:
        def sibling(name: str, data: bytes) -> dict:
            blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            entry = {"rfilename": name, "size": len(data), "blobId": blob}
            if name.endswith(".safetensors"):
                entry["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
            return entry

        return {"id": self.repo, "sha": REVISION, "siblings": [sibling(n, d) for n, d in self.files.items()]}

    def handler(hub):  # noqa: N805
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def send(self, status: int, body: bytes = b"", **headers: str) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                if self.path.split("?")[0] == f"/api/models/{hub.repo}/revision/main":
                    return self.send(200, json.dumps(hub.listing()).encode())
                data = hub.files.get(self.path.removeprefix(f"/{hub.repo}/resolve/{REVISION}/"))
                if data is None:
                    return self.send(404, x_error_code="RepoNotFound")
                asked = self.headers.get("range")
                if self.path.endswith(".safetensors"):
                    hub.ranges.append(asked)
                    if hub.drop_after is not None:
                        cut, hub.drop_after = hub.drop_after, None
                        self.send_response(200)
                        self.send_header("content-length", str(len(data)))
                        self.end_headers()
                        self.wfile.write(data[:cut])
                        self.close_connection = True
                        return None
                if asked is None:
                    return self.send(200, data)
                start = int(asked.removeprefix("bytes=").removesuffix("-"))
                span = f"bytes {start}-{len(data) - 1}/{len(data)}"
                return self.send(206, data[start:], content_range=span)

        return Handler
