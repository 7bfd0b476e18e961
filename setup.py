"Everything it says comes from settings.ini: each group NAME_requirements there becomes the extra NAME."

from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.sdist import sdist

here = Path(__file__).parent
config = ConfigParser(delimiters=["="])
config.read(here / "settings.ini", encoding="utf-8")
about = config["DEFAULT"]
suffix = "_requirements"
readme = here / "README.md"


class SourceArchive(sdist):
    "The source archive with what setup.py reads, and with the locked environment."

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        super().make_release_tree(base_dir, [*files, "settings.ini", "constraints.txt"])


setup(
    name=about["lib_name"],
    version=about["version"],
    description=about["description"],
    long_description=readme.read_text(encoding="utf-8") if readme.exists() else "",
    long_description_content_type="text/markdown",
    author=about["author"],
    author_email=about["author_email"],
    url=about["git_url"],
    license="Apache-2.0",
    keywords=about["keywords"],
    packages=find_packages(include=["iris_nb", "iris_nb.*", "serve", "serve.*"]),
    package_data={"iris_nb": ["py.typed"], "serve": ["py.typed"]},
    cmdclass={"sdist": SourceArchive},
    python_requires=f">={about['min_python']}",
    install_requires=about["requirements"].split(),
    extras_require={k.removesuffix(suffix): v.split() for k, v in about.items() if k.endswith(suffix)},
    entry_points={
        "console_scripts": [line for line in about["entry_points"].splitlines() if line],
        "nbdev": ["iris_nb=iris_nb._modidx:d"],
    },
)
