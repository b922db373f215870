"""The best of a task's candidates: by score, by what tests said, by vote, by contest, or by several of these."""

from swe_rm.selection.execution import Executed as Executed
from swe_rm.selection.execution import read_tests as read_tests
from swe_rm.selection.expectation import Selected as Selected
from swe_rm.selection.expectation import Selection as Selection
from swe_rm.selection.expectation import expected as expected
from swe_rm.selection.group import Group as Group
from swe_rm.selection.group import groups as groups
from swe_rm.selection.rules import Rule as Rule
from swe_rm.selection.rules import applicable as applicable
from swe_rm.selection.rules import check_rules as check_rules
from swe_rm.selection.rules import chosen as chosen
from swe_rm.selection.rules import parse_rule as parse_rule
