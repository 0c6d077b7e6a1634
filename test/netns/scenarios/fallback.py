"""UDP goes nowhere: the root is reached by TLS and frames pass by it within 6 s; UDP is let through again and takes over within a
minute under a running TCP connection, which loses nothing. What others see on the port is a web server without pages, and hundreds of
idle connections keep nobody out."""
import subprocess
import time

from lab import now, until

LONG = True

FIRST_S, BACK_S = 6, 60
NOUDP = '''table bridge noudp {
	chain forward {
		type filter hook forward priority 0;
		ether saddr { %s } meta l4proto udp drop
		ether daddr { %s } meta l4proto udp drop
	}
}
'''
IDLE = '''
import socket, sys, time
sockets = []
for _ in range(int(sys.argv[2])):
    s = socket.socket()
    s.settimeout(5)
    try:
        s.connect((sys.argv[1], 443))
    except OSError:
        continue
    sockets.append(s)
print('ready', flush=True)
for i in range(int(sys.argv[3])):
    for s in sockets:
        try:
            s.send(b'\\x16')
        except OSError:
            pass
    time.sleep(1)
'''
SERVER = '''
import socket, sys
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('', 7000))
s.listen()
print('ready', flush=True)
c, _ = s.accept()
while True:
    data = c.recv(65536)
    if not data:
        break
    c.sendall(data)
'''
CLIENT = '''
import socket, sys, time
s = socket.create_connection((sys.argv[1], 7000), 10)
s.settimeout(20)
sent, end, longest = 0, time.monotonic() + float(sys.argv[2]), 0.0
while time.monotonic() < end:
    line = b'%015d\\n' % sent
    began = time.monotonic()
    s.sendall(line)
    got = b''
    while len(got) < len(line):
        more = s.recv(len(line) - len(got))
        if not more:
            sys.exit('closed')
        got += more
    if got != line:
        sys.exit('wrong bytes')
    longest = max(longest, time.monotonic() - began)
    sent += 1
    time.sleep(0.01)
print(sent, longest)
'''


def udp_off(lab, *names):
    macs = ', '.join(lab.hosts[name].mac() for name in names)
    lab.net.run('nft', '-f', '-', input=NOUDP % (macs, macs))


def udp_on(lab):
    lab.net.run('nft', 'delete', 'table', 'bridge', 'noudp')


def link(node, peer):
    """direct, relay, tls or offline, as the node sees it."""
    address = peer.address()
    return next((p['link'] for p in node.json('peers')['peers'] if p['address'] == address), 'offline')


def by_tls(node):
    return any(root['online'] and root.get('tls') for root in node.json('status')['roots'])


def strangers(lab):
    """A browser, a scanner, garbage: a web server that has nothing."""
    page = lab.hosts['A'].run('curl', '-sk', '-i', '--max-time', '5', f'https://{lab.root.host.address}/')
    lab.check(page.stdout.startswith('HTTP/1.1 404 Not Found'), f'GET / of the root: {page.stdout[:80]!r}')
    lab.check('farlan' not in page.stdout.lower(), f'the page names nobody: {page.stdout!r}')
    for bytes_ in (b'\x00' * 500, b'GET / HTTP/1.1\r\n\r\n', b'\x16\x03\x01\x02\x00' + b'\xff' * 600):
        code = ('import socket, sys\ns = socket.create_connection((sys.argv[1], 443), 5)\ns.settimeout(20)\n'
                'try:\n    s.sendall(bytes.fromhex(sys.argv[2]))\n    while s.recv(4096):\n        pass\nexcept ConnectionError:\n    pass\n')
        lab.hosts['A'].run('python3', '-c', code, lab.root.host.address, bytes_.hex())
    lab.check(lab.root.alive(), 'the root lives')


def run(lab):
    for name in 'RCAB':
        lab.host(name)
    lab.start_root()
    lab.check('pin=' in lab.root_line, f'the root line has a pin: {lab.root_line}')
    lab.start_controller()
    strangers(lab)
    udp_off(lab, 'A', 'B')
    # 500 connections that never finish their handshake; they stay while the nodes come.
    idle = lab.hosts['C'].popen('python3', '-c', IDLE, lab.root.host.address, 500, 20, stdout=subprocess.PIPE)
    idle.stdout.readline()
    for name in 'AB':
        began = now()
        lab.start_node(name).online(FIRST_S)
        lab.within(now() - began, FIRST_S, f'{name} is online by TLS after its start')
        lab.check(by_tls(lab.nodes[name]), f'{name} says that the root is reached by TLS')
    lab.controller.online()
    lab.nwid = lab.create()
    for name in 'AB':
        lab.join(name)
    a, b, to = lab.nodes['A'], lab.nodes['B'], lab.ip('B')
    began = now()
    lab.meshed('AB')
    lab.within(now() - began, FIRST_S, 'first frames between two nodes without UDP')
    lab.equal(link(a, b), 'tls', 'link of B at A')
    lab.equal(lab.hosts['A'].ping(to, count=100, interval=0.02), 100, 'pings by TLS')
    bulk = lab.hosts['A'].ping(to, count=50, interval=0.02, size=1300)
    lab.equal(bulk, 50, 'long pings by TLS')

    # A node that starts without UDP reaches another within the time, from nothing.
    b.stop()
    began = now()
    b.start(ready=False)
    until('B answers again', lambda: lab.hosts['A'].ping(to, wait=1), 30)
    lab.within(now() - began, FIRST_S, 'first frame after the start of B')

    server = lab.hosts['B'].popen('python3', '-c', SERVER, stdout=subprocess.PIPE)
    server.stdout.readline()
    client = lab.hosts['A'].popen('python3', '-c', CLIENT, to, 75, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(3)
    udp_on(lab)
    began = now()
    until('A and B reach the root over UDP', lambda: not by_tls(a) and not by_tls(b), BACK_S)
    lab.within(now() - began, BACK_S, 'UDP is used again after it was let through')
    until('A and B talk directly', lambda: link(a, b) == 'direct', BACK_S)
    lab.note(f'direct after {now() - began:.1f} s')
    out, err = client.communicate(timeout=120)
    if lab.check(client.returncode == 0, f'the TCP connection across the change: {err.strip()}'):
        sent, longest = out.split()
        lab.note(f'{sent} questions and answers across the change, the longest {float(longest) * 1000:.0f} ms')
        lab.check(float(longest) <= 2, f'a stall of {longest} s at the change')

    # In the middle of it all: UDP goes away under a running pair.
    udp_off(lab, 'A', 'B')
    # Who has nothing to say does not notice before its next keepalive, so both talk.
    lab.hosts['B'].popen('ping', '-n', '-q', '-i', '0.5', lab.ip('A'), stdout=subprocess.DEVNULL)
    began = now()
    until('pings pass again', lambda: lab.hosts['A'].ping(to, wait=1), 30)
    lab.within(now() - began, 12, 'UDP taken away from a running pair: first answer by TLS')
    udp_on(lab)
    strangers(lab)
