"""`python -m eventide`: the command line.

Law: the same as the command `eventide`.
"""

from eventide.cli import main

main()
