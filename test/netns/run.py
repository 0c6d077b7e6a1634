#!/usr/bin/env python3
"""run.py [SCENARIO...]: each scenario in a lab of its own. The last line is "N passed, N failed".

Most of a scenario's time is waiting, so several run side by side, each in a process of its own; one that says ALONE = True
(it measures what the machine can do) has the machine for itself, after the others; LONG ones begin first. NETNS_SLOTS=1: one after another.
Four labs on two cores may keep a daemon waiting for longer than a limit allows, so what failed beside others runs once more alone, and that
counts; what failed alone runs once more when the machine was not ours for a part of that time (strain.py). All results are shown.
"""
import concurrent.futures
import importlib
import os
import signal
import subprocess
import sys
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import lab as labs  # noqa: E402
from strain import STRAIN  # noqa: E402

LIMIT_S = 300
STRAINED = 0.2  # of the time of a scenario
BESIDE = 'NETNS_BESIDE'  # in the environment: others run as well, and what fails is looked at again by who began them
SLOTS = int(os.environ.get('NETNS_SLOTS', '4'))


def ended(_signal, _frame):
    raise KeyboardInterrupt


def one(name):
    began = labs.now()
    scenario = importlib.import_module(f'scenarios.{name}')
    lab = labs.Lab(name)

    def late(_signal, _frame):
        if STRAIN.over(began, LIMIT_S * labs.SLOW):
            raise labs.Failure(f'not done after {labs.now() - began:.0f} s')
        signal.alarm(5)
    signal.signal(signal.SIGALRM, late)
    signal.alarm(LIMIT_S * labs.SLOW)
    try:
        scenario.run(lab)
    except labs.Failure as failure:
        lab.fail(str(failure))
    except Exception:  # a bug of the scenario is a failure too
        lab.fail(traceback.format_exc())
    finally:
        signal.alarm(0)
        lab.close()
    if not lab.failures and not lab.passed:
        lab.failures.append('the scenario checked nothing')
    print(f'{"FAIL" if lab.failures else "ok  "} {name} ({labs.now() - began:.1f} s, {lab.passed} checks)', flush=True)
    for note in lab.notes:
        print(f'       {note}')
    for failure in lab.failures:
        print(f'     - {failure}', flush=True)
    return not lab.failures


def alone(name):
    began = labs.now()
    if one(name):
        return True
    lost = STRAIN.lost(began) / (labs.now() - began)
    if lost < STRAINED or BESIDE in os.environ:
        return False
    print(f'again: {name}, since {lost:.0%} of its time there was no processor for somebody', flush=True)
    return one(name)


def apart(name):
    """One scenario in a process of its own; what it prints comes in one piece."""
    done = subprocess.run([sys.executable, os.path.abspath(__file__), name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors='replace', check=False, env=os.environ | {BESIDE: '1'})
    print(''.join(line for line in done.stdout.splitlines(keepends=True) if not line.endswith(' failed\n')), end='', flush=True)
    return done.returncode == 0


def main():
    if os.geteuid() != 0:
        print('run.py: network namespaces need root: sudo make netns', file=sys.stderr)
        return 2
    there = sorted(f[:-3] for f in os.listdir(os.path.join(HERE, 'scenarios')) if f.endswith('.py') and f[0] != '_')
    names = sys.argv[1:] or there
    wrong = [n for n in names if n not in there]
    if wrong:
        print(f'run.py: no scenario {" ".join(wrong)}; there are: {" ".join(there)}', file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, ended)
    def says(name, word):
        return getattr(importlib.import_module(f'scenarios.{name}'), word, False)
    shared = [] if SLOTS < 2 or len(names) < 2 else [n for n in names if not says(n, 'ALONE')]
    shared.sort(key=lambda name: not says(name, 'LONG'))
    with concurrent.futures.ThreadPoolExecutor(SLOTS) as pool:
        good = list(pool.map(apart, shared))
    good += [alone(name) for name in names if name not in shared]
    for i, name in enumerate(shared):
        if not good[i]:
            print(f'again, alone: {name}', flush=True)
            good[i] = alone(name)
    print(f'{sum(good)} passed, {len(good) - sum(good)} failed')
    return 0 if all(good) else 1


if __name__ == '__main__':
    sys.exit(main())
