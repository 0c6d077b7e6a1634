"""A LAN game finds its server: a dedicated OpenTTD at one member, the search of its client from others. Members that have "game" on are asked
for nothing else: the search names no interface, and the default route leads elsewhere. E has it off and binds to its device.

The packets are the game's own (src/network/core/udp.h and tcp_game.h, release 13): a size, a type, and what belongs to it, least byte
first. The search goes to 255.255.255.255; the answer is empty, and the client asks by TCP for the rest, the server's name in it.
"""
import os
import socket
import struct
import subprocess
import sys

from lab import now, until

TITLE = 'a real OpenTTD server is found by the broadcast of its client'

GAME = '/usr/games/openttd'
PORT = 3979
FIND_SERVER, SERVER_RESPONSE = 0, 1
SERVER_GAME_INFO, GAME_INFO = 6, 7
NAME = 'The Farlan Line'
ANSWER_S = 1.0
SEEKERS = 'BDE'
BOUND = 'E'
DEDICATED = ('-D', f'0.0.0.0:{PORT}', '-g', '-x', '-s', 'null', '-m', 'null')


def seek(dev='', info=None):
    """Runs inside a member's namespace: what came back on a search, as "answer ADDRESS PORT TYPE MS", with info "name True|False" too."""
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    if dev:
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, dev.encode())
    udp.settimeout(ANSWER_S)
    began = now()
    udp.sendto(struct.pack('<HB', 3, FIND_SERVER), ('255.255.255.255', PORT))
    data, (address, port) = udp.recvfrom(2048)
    size, kind = struct.unpack_from('<HB', data)
    print('answer', address, port, kind if size == len(data) else 'size', f'{(now() - began) * 1000:.1f}')
    if not info:
        return
    with socket.create_connection((address, port), 5) as tcp:
        tcp.sendall(struct.pack('<HB', 3, GAME_INFO))
        told = b''
        while len(told) < 2 or len(told) < struct.unpack_from('<H', told)[0]:
            told += tcp.recv(4096) or sys.exit('the server ended the connection')
    print('name', told[2] == SERVER_GAME_INFO and NAME.encode() + b'\0' in told)


def dedicated(lab, host):
    """The game, as soon as it hears on its port; what it says."""
    home = os.path.join(lab.folder, 'game')
    os.makedirs(home)
    for file in ('openttd.cfg', 'private.cfg'):
        with open(os.path.join(home, file), 'w', encoding='ascii') as config:
            config.write(f'[network]\nserver_name = {NAME}\nserver_game_type = local\n')
    log = os.path.join(lab.folder, 'game.log')
    environment = {**os.environ, 'HOME': home, 'XDG_DATA_HOME': home, 'XDG_CONFIG_HOME': home, 'XDG_CACHE_HOME': home}
    with open(log, 'wb') as out:
        game = host.popen(GAME, *DEDICATED, '-c', os.path.join(home, 'openttd.cfg'), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                          env=environment, cwd=home)

    def hears():
        return game.poll() is not None or f':{PORT} ' in host.run('ss', '-lun').stdout
    until('the game hears', hears, 60, every=0.2)

    def said():
        with open(log, encoding='utf-8', errors='replace') as file:
            return file.read()
    return game, said


def sought(lab, name, *how):
    """{'answer': [...], 'name': [...]} of a search from this member."""
    done = lab.nodes[name].host.run(sys.executable, os.path.abspath(__file__), lab.dev(name) if name == BOUND else '', *how, code=None, timeout=20)
    lines = [line.split() for line in done.stdout.splitlines()]
    return {line[0]: line[1:] for line in lines} or {'error': done.stderr.strip().splitlines()[-1:]}


def run(table):
    lab = table.lab
    lab.start('A' + SEEKERS)
    for name in SEEKERS:
        lab.nodes[name].host.run('ip', 'route', 'add', 'default', 'via', lab.root.host.address)
        if name != BOUND:
            lab.nodes[name].cli('set', lab.nwid, '--game', 'on')
    game, said = dedicated(lab, lab.nodes['A'].host)
    for name in SEEKERS:
        got = sought(lab, name)
        if table.equal(f'{name}: who answers the search', ' '.join(got.get('answer', got.get('error', ['nobody']))[:3]),
                       f'{lab.ip("A")} {PORT} {SERVER_RESPONSE}'):
            table.most(f'{name}: search to answer, the first word between the two', float(got['answer'][3]), ANSWER_S * 1000, ' ms', 1)
    until('the map is made', lambda: 'starting game' in said() or game.poll() is not None, 120, every=0.5)
    for name in SEEKERS:
        got = sought(lab, name, 'info')
        table.equal(f'{name}: the game, found again, tells its name "{NAME}"', ' '.join(got.get('name', got.get('error', ['no']))), 'True')
    if not table.row('the game still runs', 'yes' if game.poll() is None else f'ended with {game.returncode}', 'yes', game.poll() is None):
        table.note(said()[-500:])
    game.terminate()
    game.wait(10)


if __name__ == '__main__':
    seek(*sys.argv[1:])
