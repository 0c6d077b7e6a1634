#!/usr/bin/env python3
"""run.py [PART...]: the page in Chromium against a real controller and real nodes, each on a host of its own.

Parts: walk (what an admin does, from the first link on), crowd (a table of 3 000 members); default: both. The browser side (walk.mjs,
crowd.mjs) asks for what happens outside the browser by lines "@{json}" and gets one line of JSON back. Screenshots of every view go to
build/web. Programs come from $FARLAN_BIN. The last line is "N passed, N failed".
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

LIMIT_S = 150
POOL = '10.91.0.0/16'
RENAMED = 'printf %s "$0" >/proc/sys/kernel/hostname; exec "$@"'


class Outside:
    """What the browser side asks for; each method is one verb."""

    def __init__(self, lab):
        self.lab, self.joins, self.flow = lab, {}, None

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
        process = node.host.popen(os.path.join(labs.BIN, 'farlan'), '--home', node.home, 'join', target, '--wait', 30,
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
        thread.join(40)
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

    def down(self):
        self.lab.controller.stop()
        return True

    def up(self):
        self.lab.controller.start()
        return True

    def forget_sessions(self):
        """As if the time of all sessions were over; the controller stands still."""
        with sqlite3.connect(os.path.join(self.lab.controller.home, 'controller.db')) as db:
            gone = db.execute('DELETE FROM session').rowcount
        db.close()
        return gone

    def populate(self, nwid, approved, pending):
        labs.run(labs.tool('populace'), self.lab.controller.home, nwid, approved, pending)
        return True


def converse(lab, script, env):
    """Runs the browser side until it ends; counts its lines."""
    outside = Outside(lab)
    process = lab.controller.host.popen('node', os.path.join(HERE, script), env={**os.environ, **env}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, start_new_session=True)
    timer = threading.Timer(LIMIT_S * labs.SLOW, lambda: os.killpg(process.pid, signal.SIGKILL))
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


def walk(lab):
    lab.start_root()
    lab.start_controller()
    lab.controller.online()
    converse(lab, 'walk.mjs', {'FARLAN_SHOTS': os.environ.get('FARLAN_SHOTS', os.path.join(TREE, 'build/web'))})


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
    for name in sys.argv[1:] or ['walk', 'crowd']:
        lab = labs.Lab(f'web-{name}')
        try:
            {'walk': walk, 'crowd': crowd}[name](lab)
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
