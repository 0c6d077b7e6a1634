#!/usr/bin/env python3
"""lan.py [PART...]: what a LAN is for, with real programs and at size; all parts without a word. A part is a file lan_PART.py with
run(table): it has a lab of its own and says each thing it measured as a row, what was asked for beside it. The last line is
"N passed, N failed".

.ci/deps lan installs what the parts need; `make lan` asks for it.
"""
import glob
import importlib
import os
import signal
import sys
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import lab as labs  # noqa: E402

LIMIT_S = 400
WIDTH = 62


class Table:
    """Rows of one part. What is false in a row does not end the part; a Failure does."""

    def __init__(self, lab):
        self.lab, self.good, self.bad = lab, 0, 0

    def row(self, what, got, wanted, good):
        good = bool(good)
        self.good += good
        self.bad += not good
        print(f'{"ok  " if good else "FAIL"} {what:{WIDTH}} {got}  (wanted: {wanted})', flush=True)
        return good

    def equal(self, what, got, wanted):
        return self.row(what, got, wanted, got == wanted)

    def most(self, what, got, limit, unit='', digits=2):
        return self.row(what, f'{got:.{digits}f}{unit}', f'<= {limit:g}{unit}', got <= limit)

    def least(self, what, got, limit, unit='', digits=2):
        return self.row(what, f'{got:.{digits}f}{unit}', f'>= {limit:g}{unit}', got >= limit)

    def note(self, text):
        print(f'     {text}', flush=True)

    def close(self):
        """After the lab: what it noticed by itself, a daemon that ended or a sanitizer's word, is a failure too."""
        for text in self.lab.notes:
            self.note(text)
        for text in self.lab.failures:
            self.bad += 1
            print(f'FAIL {text}', flush=True)


def late(_signal, _frame):
    raise labs.Failure(f'not done after {LIMIT_S * labs.SLOW} s')


def ended(_signal, _frame):
    raise KeyboardInterrupt


def one(name):
    began, part = labs.now(), importlib.import_module(f'lan_{name}')
    lab = labs.Lab(name)
    table = Table(lab)
    print(f'== {name}: {part.TITLE}', flush=True)
    signal.alarm(LIMIT_S * labs.SLOW)
    try:
        part.run(table)
    except labs.Failure as failure:
        lab.fail(str(failure))
    except Exception:  # a bug of the part is a failure too
        lab.fail(traceback.format_exc())
    finally:
        signal.alarm(0)
        lab.close()
        table.close()
    if not table.good + table.bad:
        table.row('something was measured', 'no', 'yes', False)
    print(f'     {labs.now() - began:.0f} s, {table.good} of {table.good + table.bad}', flush=True)
    return table.good, table.bad


def main():
    there = sorted(os.path.basename(f)[4:-3] for f in glob.glob(os.path.join(HERE, 'lan_*.py')))
    names = sys.argv[1:] or there
    wrong = [name for name in names if name not in there]
    if wrong:
        print(f'lan.py: no part {" ".join(wrong)}; there are: {" ".join(there)}', file=sys.stderr)
        return 2
    if os.geteuid() != 0:
        print('lan.py: network namespaces need root: sudo make lan', file=sys.stderr)
        return 2
    signal.signal(signal.SIGALRM, late)
    signal.signal(signal.SIGTERM, ended)
    results = [one(name) for name in names]
    bad = sum(b for _, b in results)
    print(f'{sum(g for g, _ in results)} passed, {bad} failed')
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
