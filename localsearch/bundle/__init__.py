"""One archive for a machine without a network: what to install, the models, the settings and, if asked, an index.

build.py      puts it together and packs it
wheels.py     the wheels of localsearch and of all that it needs, for a platform
inventory.py  what is inside, under which licences: a list for people and an SBOM
archive.py    the tar file: written, and held against its manifest
installer.py  installs, upgrades and goes back; also runs by itself, as install.py of the archive
"""
