"""What installs a bundle: the folder `installer` of every bundle, started by its `install.py`, and this package.

In a bundle localsearch is not installed yet. So these modules import the standard library alone, and each other by
relative names. What they make in a folder:

    bin/localsearch        runs the release in use, offline, on the index and the models below
    current                a link to the release in use; turning it is the one step that changes what runs
    releases/ID/           an environment of its own for each release; the last two are kept
    models/  index/        shared by all releases
    backups/               the index as it was before each upgrade

manifest.py  what a bundle holds, and whether it is as it was built
layout.py    the folder of an installation
steps.py     installs, upgrades and goes back
"""
