"""The build is described in pyproject.toml. This adds what that cannot say: a wheel takes the contracts along."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithContracts(build_py):
    """Copies ``contracts/`` into the package, where an installed one looks for them; a checkout has them beside it."""

    def run(self) -> None:
        """Build the package, then add the contracts."""
        super().run()
        if not self.editable_mode:
            shutil.copytree(
                "contracts",
                Path(self.build_lib, "footprint_assets", "contracts", "files"),
                dirs_exist_ok=True,
            )


setup(cmdclass={"build_py": BuildWithContracts})
