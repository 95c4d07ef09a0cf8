"""The study files that come with the package. Setuptools maps this folder only if it is a regular package."""
