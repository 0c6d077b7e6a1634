#!/usr/bin/env python3
"""receiver.py PORT: what a webhook talks to. Each request is a line of JSON on stdout; /bad answers 500, everything else 200."""
import http.server
import json
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get('Content-Length', 0))).decode()
        print(json.dumps({'path': self.path, 'headers': {name.lower(): value for name, value in self.headers.items()}, 'body': body}), flush=True)
        self.send_response(500 if self.path == '/bad' else 200)
        self.send_header('Content-Length', '0')
        self.end_headers()

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Handler).serve_forever()
