from setuptools import find_namespace_packages, setup

# `studies/` is a top-level folder, where a reader sees it first, and is installed as the package `peftsearch.studies`.
# In pyproject.toml the list of packages is either found or written out in full; here it is found, and one is added.
packages = [*find_namespace_packages("src"), "peftsearch.studies"]
setup(package_dir={"": "src", "peftsearch.studies": "studies"}, packages=packages)
