"""What tests of data sets read: files in the IDX format, and a server on this machine."""

import contextlib
import http.server
import struct
import threading
import zlib


def idx(array):
    codes = {"uint8": 8, "int8": 9, "int16": 11, "int32": 12, "float32": 13, "float64": 14}
    head = bytes([0, 0, codes[array.dtype.name], array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


@contextlib.contextmanager
def server(files, break_first=0):
    """Serves bytes by path, with ranges; the first answers are cut off after so many bytes."""
    requests = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.path.lstrip("/")
            requests.append((name, self.headers.get("Range")))
            if name not in files:
                return self.send_error(404)
            content, start = files[name], 0
            tag = f'"{zlib.crc32(content)}"'
            if self.headers.get("Range") and self.headers.get("If-Range", tag) == tag:
                start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
                if start >= len(content):
                    return self.send_error(416)
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.send_header("ETag", tag)
            self.end_headers()
            first = len([r for r in requests if r[0] == name]) == 1
            self.wfile.write(
                content[start : start + break_first] if break_first and first else content[start:]
            )

        def log_message(self, *_):
            return None

    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{running.server_port}/", requests
    finally:
        running.shutdown()
        running.server_close()
