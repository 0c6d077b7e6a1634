#!/usr/bin/env python3
"""run.py [PART...]: the page in Chromium against a real controller and real nodes, each on a host of its own.

Parts: walk (what an admin does, from the first link on), around (traffic, webhooks, second factor, roles, ranges and protocols), crowd
(a table of 3 000 members); default: these. --traffic=MINUTES: real traffic for so long, then what the charts drew against the nodes' own
counters. The browser side (walk.mjs ...) asks for what happens outside the browser by lines "@{json}" and gets one line of JSON back.
Screenshots of every view go to build/web. Programs come from $FARLAN_BIN. The last line is "N passed, N failed".
"""
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TREE, 'test/netns'))
import lab as labs  # noqa: E402

LIMIT_S = 900  # of a browser that hangs; about 100 s on a quiet machine
RECEIVER_PORT = 9100
POOL = '10.91.0.0/16'
RENAMED = 'printf %s "$0" >/proc/sys/kernel/hostname; exec "$@"'


class Outside:
    """What the browser side asks for; each method is one verb."""

    def __init__(self, lab):
        self.lab, self.joins, self.flow, self.got = lab, {}, None, None

    def link(self):
        return self.lab.controller.cli('page').stdout.split()[-1]

    def node(self, name, hostname=None):
        """A node with roots and nothing joined; hostname: what it calls itself."""
        host = self.lab.host(name)
        if hostname:
            plain = host.popen
            host.popen = lambda *argv, **how: plain('unshare', '--uts', 'sh', '-c', RENAMED, hostname, *argv, **how)
        node = self.lab.start_node(name)
        if hostname:
            host.popen = plain
        node.online()
        return node.address()

    def join(self, name, target):
        """Begins farlan join --wait; joined tells how it ended."""
        node = self.lab.nodes[name]
        process = node.host.popen(os.path.join(labs.BIN, 'farlan'), '--home', node.home, 'join', target, '--wait', 120,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        ended = {}

        def watch():
            _, err = process.communicate()
            ended.update(code=process.returncode, at=time.time() * 1000, err=err[-300:])
        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        self.joins[name] = (thread, ended)
        return True

    def joined(self, name):
        thread, ended = self.joins[name]
        thread.join(130)
        return ended or {'code': None, 'at': 0, 'err': 'it waits still'}

    def addresses(self, name, nwid):
        return self.lab.nodes[name].network(nwid)['addresses']

    def flow_begin(self, source, to):
        host = self.lab.nodes[source].host
        host.reaches(to, 15)
        self.flow = host.popen('ping', '-n', '-D', '-i', '0.05', '-W', '1', to, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        time.sleep(0.5)
        return True

    def flow_end(self):
        """When answers came, ms since 1970."""
        self.flow.send_signal(signal.SIGINT)
        out, _ = self.flow.communicate(timeout=10)
        return [float(at) * 1000 for at in re.findall(r'^\[([0-9.]+)\] \d+ bytes from', out, re.M)]

    def carry(self, source, to, seconds, size=1300, interval=0.004):
        """Frames there and back for so long, in the background."""
        host = self.lab.nodes[source].host
        host.reaches(to, 15)
        host.popen('ping', '-n', '-q', '-s', str(size), '-i', str(interval), '-w', str(seconds), to, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return True

    def strange(self, name, nwid, ethertype, frames):
        """Frames of a protocol of one's own, to everybody, from the member's own port."""
        network = self.lab.nodes[name].network(nwid)
        frame = b'\xff' * 6 + labs.mac_bytes(network['mac']) + ethertype.to_bytes(2, 'big') + bytes(100)
        self.lab.nodes[name].host.send(network['dev'], frame, count=frames, gap_us=500)
        return True

    def carried(self, name, nwid):
        """What the node counted at its port, and what the kernel did at the same device (its rx is our tx)."""
        node = self.lab.nodes[name]
        network = node.network(nwid)
        own = network.get('traffic', network)
        link = json.loads(node.host.run('ip', '-j', '-s', 'link', 'show', 'dev', network['dev']).stdout)[0]['stats64']
        return {'rx_bytes': own['rx_bytes'], 'tx_bytes': own['tx_bytes'], 'rx_frames': own['rx_frames'], 'tx_frames': own['tx_frames'],
                'kernel': {'rx_bytes': link['rx']['bytes'], 'tx_bytes': link['tx']['bytes']}}

    def end_node(self, name):
        """As by systemctl stop: it says a last time what it carried."""
        self.lab.nodes[name].stop()
        return True

    def receiver(self):
        process = self.lab.controller.host.popen(sys.executable, os.path.join(HERE, 'receiver.py'), str(RECEIVER_PORT), stdout=subprocess.PIPE, text=True)
        self.got = []

        def watch():
            for line in process.stdout:
                self.got.append(json.loads(line))
        threading.Thread(target=watch, daemon=True).start()
        return f'http://127.0.0.1:{RECEIVER_PORT}'

    def received(self):
        return list(self.got)

    def down(self):
        self.lab.controller.stop()
        return True

    def up(self):
        self.lab.controller.start()
        return True

    def factor_required(self):
        """From now on the controller asks everybody for a second factor."""
        with open(os.path.join(self.lab.controller.home, 'farlan-controller.conf'), 'a', encoding='ascii') as file:
            file.write('second-factor = required\n')
        self.lab.controller.stop()
        self.lab.controller.start()
        return True

    def allowed(self, took, limit):
        """Whether something of the last minute took no longer (ms), apart from what this machine lost to others meanwhile."""
        return took <= 1000 * labs.STRAIN.allowed(took / 1000, limit / 1000, labs.now() - 60)

    def forget_sessions(self):
        """As if the time of all sessions were over; the controller stands still."""
        with sqlite3.connect(os.path.join(self.lab.controller.home, 'controller.db')) as db:
            gone = db.execute('DELETE FROM session').rowcount
        db.close()
        return gone

    def populate(self, nwid, approved, pending):
        labs.run(labs.tool('populace'), self.lab.controller.home, nwid, approved, pending)
        return True


def converse(lab, script, env, limit=LIMIT_S):
    """Runs the browser side until it ends; counts its lines."""
    outside = Outside(lab)
    process = lab.controller.host.popen('node', os.path.join(HERE, script), env={**os.environ, **env}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, start_new_session=True)
    timer = threading.Timer(limit * labs.SLOW, lambda: os.killpg(process.pid, signal.SIGKILL))
    timer.start()
    last = ''
    for line in process.stdout:
        if line.startswith('@'):
            asked = json.loads(line[1:])
            try:
                answer = {'answer': getattr(outside, asked['verb'])(*asked['args'])}
            except Exception as error:  # the browser side says which check it was
                answer = {'error': str(error)[:500]}
            process.stdin.write(json.dumps(answer) + '\n')
            process.stdin.flush()
            continue
        last = line
        print(line, end='', flush=True)
        if line.startswith(('ok ', 'FAIL ')):
            lab.check(line.startswith('ok '), line.strip())
    timer.cancel()
    code = process.wait()
    lab.check(code == 0 and re.match(r'\d+ passed, 0 failed', last), f'{script} ended with {code}: {last.strip()}')


def shots():
    return {'FARLAN_SHOTS': os.environ.get('FARLAN_SHOTS', os.path.join(TREE, 'build/web'))}


def walk(lab):
    lab.start_root()
    lab.start_controller()
    lab.controller.online()
    converse(lab, 'walk.mjs', shots())


def around(lab):
    lab.start_root()
    home = os.path.join(lab.folder, 'C')
    os.makedirs(home, 0o700)
    with open(os.path.join(home, 'farlan-controller.conf'), 'w', encoding='ascii') as file:
        file.write('webhook-private = yes\nzt1 = 127.0.0.1:9994\n')
    lab.start_controller()
    lab.controller.online()
    converse(lab, 'around.mjs', shots())


def traffic(lab, minutes):
    lab.start_root()
    lab.start_controller()
    lab.controller.online()
    converse(lab, 'traffic.mjs', {**shots(), 'FARLAN_MINUTES': minutes}, LIMIT_S + float(minutes) * 60)


def crowd(lab):
    lab.start_root()
    lab.start_controller()
    lab.controller.stop()
    with open(os.path.join(lab.controller.home, 'farlan-controller.conf'), 'w', encoding='ascii') as file:
        file.write('members-max = 4000\n')
    lab.controller.start()
    lab.controller.online()
    nwid = lab.create('crowd', ipv4=POOL)
    lab.controller.stop()
    Outside(lab).populate(nwid, 2840, 160)
    lab.controller.start()
    lab.controller.online()
    converse(lab, 'crowd.mjs', {'FARLAN_NWID': nwid})


def main():
    passed = failed = 0
    for part in sys.argv[1:] or ['walk', 'around', 'crowd']:
        name, _, value = part.lstrip('-').partition('=')
        lab = labs.Lab(f'web-{name}')
        try:
            {'walk': walk, 'around': around, 'crowd': crowd, 'traffic': lambda lab: traffic(lab, value or '10')}[name](lab)
        except (labs.Failure, OSError, subprocess.SubprocessError) as failure:
            lab.fail(str(failure))
        finally:
            lab.close()
        for failure in lab.failures:
            print(f'     - {name}: {failure}')
        passed += lab.passed
        failed += len(lab.failures)
    print(f'{passed} passed, {failed} failed')
    return 1 if failed or not passed else 0


if __name__ == '__main__':
    sys.exit(main())
