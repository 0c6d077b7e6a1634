"""client.py: HTTP to a controller: by its unix socket, or by TCP or TLS from within its network namespace."""
import contextlib
import ctypes
import http.client
import json
import os
import socket
import ssl
import threading

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000


def setns(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        if LIBC.setns(fd, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f'setns {path}')
    finally:
        os.close(fd)


def connect_there(namespace, address):
    """A TCP connection made there; this thread is back here afterwards."""
    back = os.open('/proc/thread-self/ns/net', os.O_RDONLY)
    try:
        setns(f'/run/netns/{namespace}')
        return socket.create_connection(address, 20)
    finally:
        if LIBC.setns(back, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), 'setns back')
        os.close(back)


class Connection(http.client.HTTPConnection):
    def __init__(self, opened):
        super().__init__('localhost', timeout=30)
        self.opened = opened

    def connect(self):
        self.sock = self.opened()


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.body = response.status, dict(response.getheaders()), response.read()

    @classmethod
    def read(cls, file):
        """The next one of several on one connection; None at its end."""
        line = file.readline()
        if not line:
            return None
        answer = cls.__new__(cls)
        answer.status, answer.headers = int(line.split()[1]), dict(http.client.parse_headers(file).items())
        answer.body = file.read(int(answer.headers.get('Content-Length', 0)))
        return answer

    def json(self):
        return json.loads(self.body)


class Client:
    """One way in with what it shows there: a token, a cookie, an origin."""

    def __init__(self, opened, host, headers=None):
        self.opened, self.host, self.headers = opened, host, dict(headers or {})
        self.connection = None

    def ask(self, method, path, body=None, headers=None):
        """body: an object as JSON, bytes as they are."""
        head = {'Host': self.host, **self.headers}
        data = body
        if body is not None and not isinstance(body, bytes):
            data = json.dumps(body).encode()
        if method != 'GET':
            head['Content-Type'] = 'application/json'
        head.update(headers or {})
        for again in (False, True):  # a connection that was kept may have been closed meanwhile
            if not self.connection:
                self.connection = Connection(self.opened)
            try:
                self.connection.request(method, path, body=data, headers=head)
                return Answer(self.connection.getresponse())
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                self.close()
                if again:
                    raise

    def announce(self, method, path, length, headers=None):
        """A body that is announced and not sent: what cannot be taken is refused by its length."""
        connection = Connection(self.opened)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in {'Host': self.host, 'Content-Type': 'application/json', **self.headers, 'Content-Length': str(length), **(headers or {})}.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = Answer(connection.getresponse())
        connection.close()
        return answer

    def flood(self, path, count):
        """So many GET on one connection, none of which waits for an answer: the answers, as they come."""
        connection = Connection(self.opened)
        connection.connect()
        head = ''.join(f'{name}: {value}\r\n' for name, value in {'Host': self.host, **self.headers}.items())
        request = f'GET {path} HTTP/1.1\r\n{head}\r\n'.encode()

        def send():
            with contextlib.suppress(OSError):  # it may hang up on us
                connection.sock.sendall(request * count)
        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        try:
            with connection.sock.makefile('rb') as file:
                for _ in range(count):
                    answer = Answer.read(file)
                    if not answer:
                        return
                    yield answer
        finally:
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)  # the sender may be in the midst of it
            connection.close()

    def stream(self, path, headers=None):
        """An answer that does not end: read it by readline()."""
        connection = Connection(self.opened)
        connection.request('GET', path, headers={'Host': self.host, **self.headers, **(headers or {})})
        return connection.getresponse()

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None


def by_socket(path):
    def opened():
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(30)
        sock.connect(path)
        return sock
    return Client(opened, 'localhost')


def by_tcp(namespace, port, headers=None):
    return Client(lambda: connect_there(namespace, ('127.0.0.1', port)), f'127.0.0.1:{port}', headers)


def by_tls(namespace, port, headers=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return Client(lambda: context.wrap_socket(connect_there(namespace, ('127.0.0.1', port))), f'127.0.0.1:{port}', headers)
