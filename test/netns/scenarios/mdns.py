"""Shows 3: a datagram to 224.0.0.251 reaches the listeners at every other member, once."""
import subprocess

LISTEN = '''
import socket, struct, sys
address, seconds = sys.argv[1], float(sys.argv[2])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("224.0.0.251", 5353))
s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("224.0.0.251") + socket.inet_aton(address))
print("ready", flush=True)
while True:
    data, source = s.recvfrom(2048)
    print(source[0], data.hex(), flush=True)
    if data.startswith(b"end"):
        break
'''
SEND = '''
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(sys.argv[1]))
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
for data in (bytes.fromhex(sys.argv[2]), b"end"):
    s.sendto(data, ("224.0.0.251", 5353))
'''
# _services._dns-sd._udp.local PTR?
QUESTION = bytes.fromhex('000000000001000000000000') + b'\x09_services\x07_dns-sd\x04_udp\x05local\0\0\x0c\0\1'


def run(lab):
    lab.start('ABD')
    lab.meshed('ABD')
    listeners = {}
    for name in 'AD':
        listeners[name] = lab.nodes[name].host.popen('timeout', '20', 'python3', '-c', LISTEN, lab.ip(name), '15', stdout=subprocess.PIPE, text=True)
        lab.equal(listeners[name].stdout.readline().strip(), 'ready', f'{name}: listens')
    lab.nodes['B'].host.run('python3', '-c', SEND, lab.ip('B'), QUESTION.hex())
    for name, listener in listeners.items():
        got = listener.communicate(timeout=25)[0].splitlines()
        lab.equal(got, [f'{lab.ip("B")} {QUESTION.hex()}', f'{lab.ip("B")} {b"end".hex()}'], f'{name}: datagrams')
