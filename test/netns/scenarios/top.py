"""`farlan top` in a terminal with real traffic: rates per peer, a narrow screen, the terminal as it was afterwards; and the node's counters beside the kernel's."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

from lab import BIN, Failure, tool, until
from lab import run as command

SENDER = '''
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
size, rate, t = int(sys.argv[2]), int(sys.argv[3]), time.monotonic()
while True:
    s.sendto(bytes(size), (sys.argv[1], 7000))
    t += 1 / rate
    time.sleep(max(0, t - time.monotonic()))
'''
SINK = 'import socket, sys, time; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind((sys.argv[1], 7000)); print("up", flush=True); time.sleep(600)'
HEADERS = 14 + 20 + 8
FLOWS = {'B': (1000, 250), 'D': (500, 100)}  # payload, datagrams a second
UNITS = {'': 1, 'K': 1e3, 'M': 1e6, 'G': 1e9}


class Terminal:
    """A shell in tmux."""

    def __init__(self, lab, width):
        self.lab, self.server = lab, os.path.join(lab.folder, 'tmux')
        env = {**os.environ, 'LC_ALL': 'C.UTF-8', 'TERM': 'xterm-256color', 'PS1': '$ ', 'ENV': ''}
        env.pop('NO_COLOR', None)
        command('tmux', '-S', self.server, '-f', '/dev/null', '-u', 'new-session', '-d', '-x', width, '-y', '16', 'sh', env=env)

    def tmux(self, *argv):
        return command('tmux', '-S', self.server, *argv).stdout

    def type(self, text):
        self.tmux('send-keys', '-l', text)
        self.tmux('send-keys', 'Enter')

    def key(self, key):
        self.tmux('send-keys', key)

    def text(self, *options):
        return self.tmux('capture-pane', '-p', *options)

    def shows(self, what, pattern, seconds=8):
        until(f'the terminal shows {what}', lambda: re.search(pattern, self.text(), re.M), seconds)
        return self.text()

    def child(self):
        """The process that the shell waits for."""
        shell = self.tmux('display-message', '-p', '#{pane_pid}').strip()
        with open(f'/proc/{shell}/task/{shell}/children', encoding='ascii') as file:
            return int(file.read().split()[0])

    def close(self):
        subprocess.run(['tmux', '-S', self.server, 'kill-server'], capture_output=True, check=False)


def number(text):
    got = re.fullmatch(r'([\d.]+)([KMG]?)', text)
    return float(got[1]) * UNITS[got[2]] if got else None


def rates(text, name):
    """What the row of that name says under each title that is a number."""
    lines = text.splitlines()
    title = next(line for line in lines if line.startswith('PEER'))
    row = next(line for line in lines if line.split()[:1] == [name])
    found = {}
    for column in ('RX b/s', 'TX b/s', 'RX f/s', 'TX f/s'):
        at = title.find(column)
        if at >= 0:
            found[column] = number(row[at:at + len(column)].strip())
    return found


def kernel(host, dev):
    """As the node sees it: what the device sent is what was taken from it."""
    s = json.loads(command('ip', '-n', host.ns, '-s', '-j', 'link', 'show', dev).stdout)[0]['stats64']
    return {'tx_bytes': s['tx']['bytes'], 'tx_frames': s['tx']['packets'], 'rx_bytes': s['rx']['bytes'], 'rx_frames': s['rx']['packets']}


def both(lab, name):
    node = lab.nodes[name]
    dev = lab.dev(name)
    k, n = kernel(node.host, dev), node.network(lab.nwid)
    return k, {key: n[key] for key in k}


def since(a, b):
    return {key: b[key] - a[key] for key in a}


def near(lab, got, wanted, share, what):
    lab.check(abs(got - wanted) <= share * wanted, f'{what}: {got}, not {wanted}')


def programs(lab, a):
    """Without a terminal."""
    lab.check('terminal' in a.cli('top', code=2).stderr, 'no terminal: refused, with what to do instead')
    a.cli('top', '--interval', '0', code=2)
    a.cli('top', 'fe00000000000001', '--once', code=5)
    samples = [json.loads(line) for line in a.cli('-o', 'jsonl', 'top', '--count', '2').stdout.splitlines()]
    lab.equal([s['schema'] for s in samples], ['farlan.top/1'] * 2, 'two samples')
    for name, (size, rate) in FLOWS.items():
        peer = next(p for p in samples[1]['peers'] if p['name'] == name)
        near(lab, peer['tx_bps'], rate * (size + HEADERS) * 8, 0.15, f'bit/s to {name}, for a program')
    table = a.cli('top', '--once').stdout
    lab.check(re.search(r'^\S+ +B +direct .*2\.[0-9]+M', table, re.M), f'one table: {table}')


def screen(lab, a):
    terminal = Terminal(lab, 140)
    try:
        before, after = os.path.join(lab.folder, 'before'), os.path.join(lab.folder, 'after')
        top = f'{os.path.join(BIN, "farlan")} --home {a.home} top'
        terminal.type(f'stty -a > {before}; {top}; echo code=$?; stty -a > {after}')
        terminal.shows('rates', r'^B .* direct .* \d+(\.\d+)?[KM]')
        time.sleep(4)
        for name, (size, rate) in FLOWS.items():
            text = terminal.text()
            got = rates(text, name)
            near(lab, got['TX b/s'] or 0, rate * (size + HEADERS) * 8, 0.15, f'bit/s to {name} on the screen:\n{text}\n')
            near(lab, got['TX f/s'] or 0, rate, 0.15, f'frames/s to {name} on the screen:\n{text}\n')
        lab.check(re.search('[▁-█]{3}', text), f'the last minute as a line:\n{text}')
        lab.check('\x1b[32m' in terminal.text('-e'), 'colours')
        if os.environ.get('TOP_PICTURE'):  # for whoever wants to see it
            with open(os.environ['TOP_PICTURE'], 'w', encoding='utf-8') as file:
                file.write(terminal.text() + '\n' + terminal.text('-e'))
        terminal.key('o')
        terminal.key('r')
        text = terminal.shows('another order', 'by tx, reversed')
        lab.check(text.index('\nD ') < text.index('\nB '), f'who sends least first:\n{text}')
        terminal.key('p')
        still = terminal.shows('that it stands', 'PAUSED')
        time.sleep(1.5)
        lab.equal(terminal.text(), still, 'the picture that is held')
        terminal.key('p')
        terminal.tmux('resize-window', '-x', '40', '-y', '12')
        text = terminal.shows('a narrow table', r'^PEER +LINK +RX b/s +TX b/s *$')
        time.sleep(1.2)
        text = terminal.text()
        lab.check(max(map(len, text.splitlines())) <= 40 and re.search(r'^B +direct .*M$', text, re.M), f'40 columns:\n{text}')
        terminal.key('q')
        terminal.shows('the end', '^code=0$')
        ended(lab, before, after, 'q')
        for sign, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            terminal.type(f'clear; rm {after}; NO_COLOR=1 {top}; echo code=$?; stty -a > {after}')
            terminal.shows('it again', r'^B +direct')
            lab.check('\x1b[32m' not in terminal.text('-e'), 'no colours')
            os.kill(terminal.child(), sign)
            terminal.shows(f'the end by {sign.name}', f'^code={code}$')
            ended(lab, before, after, sign.name)
    finally:
        terminal.close()


def ended(lab, before, after, how):
    until('the shell goes on', lambda: os.path.exists(after) and os.path.getsize(after), 5)
    with open(before, encoding='ascii') as a, open(after, encoding='ascii') as b:
        lab.equal(re.sub(r'(rows|columns) \d+', '', b.read()), re.sub(r'(rows|columns) \d+', '', a.read()), f'the terminal after {how}')


def counters(lab, udp_before, udp_after):
    """The node's counters and the kernel's: the same frames, and a superframe as its segments."""
    k, n = since(udp_before[0], udp_after[0]), since(udp_before[1], udp_after[1])
    for key in ('tx_bytes', 'tx_frames'):
        near(lab, n[key], k[key], 0.01, f'{key} beside the kernel\'s')
    a, b = lab.nodes['A'], lab.nodes['B']
    before = {name: both(lab, name) for name in 'AB'}
    server = b.host.popen(tool('transfer'), 'serve', '9100')
    until('the server listens', lambda: '9100' in b.host.run('ss', '-ltn').stdout, 5)
    a.host.run(tool('transfer'), 'send', lab.ip('B'), '9100', '5', str(20 << 20), '20')
    server.terminate()
    for name, way in (('A', 'tx'), ('B', 'rx')):
        after = both(lab, name)
        k, n = since(before[name][0], after[0]), since(before[name][1], after[1])
        segments = n[f'{way}_frames'] - k[f'{way}_frames']
        lab.note(f'{name} {way}: {k[f"{way}_frames"]} frames and superframes, {n[f"{way}_frames"]} frames, {n[f"{way}_bytes"]} bytes of {k[f"{way}_bytes"]}')
        near(lab, n[f'{way}_bytes'], k[f'{way}_bytes'] + segments * (14 + 20 + 32), 0.01, f'{way} bytes of {name} beside the kernel\'s and the headers of segments')
    sent = {name: both(lab, name)[1] for name in 'AB'}
    near(lab, sent['B']['rx_bytes'], next(p for p in b.json('peers')['peers'] if p['address'] == a.address())['traffic']['rx_bytes'], 0.01, 'what B had of A')


def traffic(lab, a):
    for name in FLOWS:
        sink = lab.nodes[name].host.popen(sys.executable, '-c', SINK, lab.ip(name), stdout=subprocess.PIPE, text=True)
        if sink.stdout.readline() != 'up\n':
            raise Failure('no sink')
    return [a.host.popen(sys.executable, '-c', SENDER, lab.ip(name), size, rate) for name, (size, rate) in FLOWS.items()]


def run(lab):
    if not shutil.which('tmux'):
        raise Failure('tmux is missing: make deps')
    lab.start('ABD')
    lab.meshed('ABD')
    a = lab.nodes['A']
    senders = traffic(lab, a)
    time.sleep(0.5)
    before = both(lab, 'A')
    programs(lab, a)
    screen(lab, a)
    after = both(lab, 'A')
    for sender in senders:
        lab.check(sender.poll() is None, 'the sender went on')
        sender.kill()
    counters(lab, before, after)
