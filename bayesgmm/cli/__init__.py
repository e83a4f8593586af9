"""The command line: the only room that prints.

Exit status 0; 2 on bad input with one clear line on stderr and no traceback; 130 after Ctrl-C, also
where what was done until then is shown.
"""

from bayesgmm.cli.entry import main as main
