"""What `farlan capture` shows: frames both ways, those that were dropped with their reason, and only those that a filter takes."""
import os
import re
import signal
import subprocess
import time

from lab import BIN, pcap_frames, until

FOREIGN = b'\x02\xde\xad\xbe\xef\x01'
EVERYBODY = b'\xff' * 6
MARK = b'\x88\xb5' + b'watched' * 8


class Watch:
    """A capture in the daemon's namespace."""

    def __init__(self, lab, name, *words):
        node = lab.nodes[name]
        self.process = node.host.popen(os.path.join(BIN, 'farlan'), '--home', node.home, 'capture', lab.nwid, *words, stdout=subprocess.PIPE, text=True)
        time.sleep(0.5)
        lab.check(self.process.poll() is None, f'capture {words} ended')

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        out, _ = self.process.communicate(timeout=10)
        return self.process.returncode, out


def lines(out, pattern):
    return [line for line in out.splitlines() if re.search(pattern, line)]


def run(lab):
    lab.start('AB')
    lab.meshed('AB')
    a, b = lab.nodes['A'], lab.nodes['B']
    mac_a, mac_b = lab.tap_mac('A'), lab.tap_mac('B')
    file = os.path.join(lab.folder, 'frames.pcap')
    everything = Watch(lab, 'A', '--text')
    icmp = Watch(lab, 'A', '-w', file, 'icmp')
    dropped = Watch(lab, 'A', '--text', '--only', 'dropped')
    incoming = Watch(lab, 'B', '--text', '--direction', 'in', 'ether', 'proto', '0x88b5')
    lab.equal(a.host.ping(lab.ip('B'), count=5), 5, 'pings of A')
    a.host.send(lab.dev('A'), EVERYBODY + FOREIGN + MARK)  # a MAC it does not own
    a.host.send(lab.dev('A'), mac_b + mac_a + MARK)
    b.host.send(lab.dev('B'), mac_a + mac_b + MARK)
    until('all of it is there', lambda: a.drops().get('source-mac', 0) >= 1, 5)
    time.sleep(0.3)
    code, out = everything.stop()
    lab.equal(code, 0, 'exit of the capture')
    lab.check(len(lines(out, 'out .*IPv4')) >= 5 and len(lines(out, 'in .*IPv4')) >= 5, f'pings both ways: {out}')
    lab.equal(len(lines(out, 'out 02:de:ad:be:ef:01 .*0x88b5.*dropped: source-mac')), 1, f'the foreign MAC: {out}')
    lab.equal(len(lines(out, '0x88b5, length 70$')), 2, f'what passed, one each way: {out}')
    code, out = dropped.stop()
    lab.check(code == 0 and lines(out, 'source-mac') and not lines(out, 'length [0-9]+$'), f'only what was dropped: {out}')
    code, out = incoming.stop()
    lab.equal([line.split()[1] for line in lines(out, '0x88b5')], ['in'], f'only what came to B: {out}')
    lab.equal(icmp.stop()[0], 0, 'exit of the one that writes')
    with open(file, 'rb') as f:
        frames = pcap_frames(f.read())
    lab.equal(len(frames), 10, 'frames in the file: five questions, five answers')
    lab.equal({f[12:14] + f[23:24] for f in frames}, {b'\x08\x00\x01'}, 'all of them ICMP')
    # refused words
    lab.check('filter' in a.cli('capture', lab.nwid, 'no', 'such', 'word', code=2).stderr, 'a wrong filter is named')
    lab.check('passed or dropped' in a.cli('capture', lab.nwid, '--only', 'some', code=2).stderr, 'a wrong --only is named')
    lab.check('namespace' in a.cli('capture', lab.nwid, '--text', code=8).stderr, 'from another network namespace')
