"""webhook_receiver.py FOLDER: a receiver of webhooks that does what its path says: answers, fails, hangs, lies. One line of JSON in
FOLDER/got for each request that came whole, before it is answered. Ports: 8080, and with certificates of FOLDER 8443 (good.pem) and
8444 (odd.pem). /odds fails each first attempt of every third event, /flaky the first two of each.
"""
import asyncio
import json
import os
import ssl
import sys

FOLDER = sys.argv[1]
GOT = open(os.path.join(FOLDER, 'got'), 'a', buffering=1, encoding='utf-8')
seen = {}


async def request(reader):
    head = (await reader.readuntil(b'\r\n\r\n')).decode()
    first, *lines = head.split('\r\n')
    headers = {name.strip(): value.strip() for name, value in (line.split(':', 1) for line in lines if line)}
    body = await reader.readexactly(int(headers['Content-Length']))
    return first.split()[1], headers, body.decode()


def answer(status, *lines):
    return '\r\n'.join((f'HTTP/1.1 {status} So', *lines, 'Connection: close', '', '')).encode()


async def behave(path, headers, writer):
    key = (path, headers['Farlan-Delivery'])
    seen[key] = seen.get(key, 0) + 1
    n = seen[key]
    if path == '/hang':
        await asyncio.sleep(3600)
    elif path == '/drip':
        for byte in answer(200):
            writer.write(bytes((byte,)))
            await writer.drain()
            await asyncio.sleep(0.2)
    elif path == '/endless-head':
        writer.write(b'HTTP/1.1 200 So\r\n')
        while True:
            writer.write(b'X-More: ' + b'y' * 1000 + b'\r\n')
            await writer.drain()
    elif path == '/long-line':
        writer.write(b'HTTP/1.1 200 So\r\nX-More: ')
        while True:
            writer.write(b'y' * 4000)
            await writer.drain()
    elif path == '/continue':
        while True:
            writer.write(b'HTTP/1.1 100 Go on\r\n\r\n')
            await writer.drain()
    elif path == '/endless-body':
        writer.write(answer(200))
        while True:
            writer.write(b'z' * 65536)
            await writer.drain()
    elif path == '/close':
        pass
    elif path == '/short':
        writer.write(b'HTTP/1.1 200 So\r\nContent-Le')
    elif path == '/garbage':
        writer.write(bytes(range(256)) * 20)
    elif path == '/redirect':
        writer.write(answer(302, 'Location: http://127.0.0.1:9000/inside', 'Content-Length: 0'))
    elif path == '/lie':
        writer.write(answer(200, 'Content-Length: 100000') + b'all of it')
    elif path == '/flaky':
        writer.write(answer(500 if n < 3 else 200, 'Content-Length: 0'))
    elif path == '/odds':
        writer.write(answer(500 if n == 1 and int(key[1][-1], 16) % 3 == 0 else 204))
    else:
        writer.write(answer(204))
    await writer.drain()


async def serve(reader, writer):
    try:
        path, headers, body = await request(reader)
        GOT.write(json.dumps({'path': path, 'headers': headers, 'body': body}) + '\n')
        await behave(path, headers, writer)
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def main():
    await asyncio.start_server(serve, '0.0.0.0', 8080)
    for port, name in ((8443, 'good.pem'), (8444, 'odd.pem')):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(FOLDER, name))
        await asyncio.start_server(serve, '0.0.0.0', port, ssl=context)
    print('ready', flush=True)
    await asyncio.sleep(3600)

asyncio.run(main())
