"""What every end-to-end test needs: the demo's parts on the path, the long run's numbers, a site under Faultline."""

import os
import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "deploy" / "demo"), str(ROOT / "tests" / "support")]
sys.dont_write_bytecode = True

LONG = bool(os.environ.get("FAULTLINE_LONG"))


def times(normal, long):
    """A number of repetitions: the normal run's or the long run's."""
    return long if LONG else normal


class SiteCase(unittest.TestCase):
    """Assertions about incidents."""

    def assert_only(self, incidents, component, modes=None, **fields):
        """Exactly these incidents' one is `component`; returns it."""
        names = [f"{i['component']} {i['mode']} ({i['headline']})" for i in incidents]
        self.assertEqual([component], [i["component"] for i in incidents], names)
        incident = incidents[0]
        if modes:
            self.assertIn(incident["mode"], modes, names)
        for key, value in fields.items():
            self.assertEqual(value, incident[key], f"{key} of {names}")
        return incident
