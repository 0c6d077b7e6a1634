"""The controller's page in Chromium, all of it."""
import os
import re

from lab import TREE


def run(lab):
    lab.start('A', join=False)
    node = lab.nodes['A']
    node.cli('join', lab.nwid, '--wait', '0', code=None)
    lab.wait_member(node, 'pending')
    env = {**os.environ, 'FARLAN_PAGE_URL': lab.controller.cli('page').stdout.split()[-1], 'FARLAN_NWID': lab.nwid,
           'FARLAN_MEMBER': node.address(), 'FARLAN_STEP': 'full', 'FARLAN_SHOTS': lab.folder}
    done = lab.controller.host.run('node', os.path.join(TREE, 'test/web/page_test.mjs'), env=env, timeout=240, code=None)
    for line in done.stdout.splitlines():
        if line.startswith(('ok', 'FAIL')):
            lab.check(line.startswith('ok'), line)
    lab.check(done.returncode == 0 and re.search(r'^\d+ passed, 0 failed$', done.stdout, re.M), f'exit {done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}')
