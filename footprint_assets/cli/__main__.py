"""``python -m footprint_assets.cli``, where the command is not on the path."""

from footprint_assets.cli import main

main()
