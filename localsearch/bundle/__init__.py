"""One archive for a machine without a network: what to install, the models, the settings and, if asked, an index.

build.py      puts it together and packs it
own.py        the wheel of localsearch itself
target.py     the machine that it is for
wheels.py     the wheels of all that it needs, for a platform
inventory.py  what is inside, under which licences: a list for people and an SBOM
archive.py    the tar file: written, held against its manifest, unpacked
installer/    installs, upgrades and goes back; also runs by itself, from the archive
"""
