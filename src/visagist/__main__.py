"""``python -m visagist``."""

from visagist.cli import main

main()
