"""zt1_lab.py: the door for ZeroTier One's API opened in a lab's daemons, and a lab for tests of it that run by themselves."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'netns'))
sys.dont_write_bytecode = True
from lab import Failure, Lab  # noqa: E402

PORT = 9993


def prepare(lab, names, port=PORT):
    """Before those daemons start: the line in their config that opens the door."""
    for name in names:
        home = os.path.join(lab.folder, name)
        os.makedirs(home, 0o700, exist_ok=True)
        conf = 'farlan-controller.conf' if name == 'C' else 'farland.conf'
        with open(os.path.join(home, conf), 'a', encoding='ascii') as file:
            file.write(f'zt1 = 127.0.0.1:{port}\n')


def alone(names, test):
    """A root, a controller and two nodes, with the door open at those; what test(lab) found, told. The exit status."""
    lab = Lab('zt1')
    try:
        prepare(lab, names)
        lab.start_root()
        lab.start_controller()
        for name in 'AB':
            lab.start_node(name)
        lab.controller.online()
        for name in 'AB':
            lab.nodes[name].online()
        test(lab)
    except Failure as error:
        lab.fail(str(error))
    finally:
        lab.close()
    for note in lab.notes:
        print(f'    {note}')
    for failure in lab.failures:
        print(f'FAILED: {failure}')
    print(f'{lab.passed} passed, {len(lab.failures)} failed')
    return 1 if lab.failures else 0
