#!/usr/bin/env bash
# Snapshot backups with hard links.
#
# Every run makes a folder named by date that looks like a full copy. Files that did not change since the last run are
# hard links to the same blocks on disk, so thirty snapshots of 200 GB take little more room than one. Deleting an old
# snapshot never harms a newer one: the blocks are freed when the last link to them goes.
#
# Usage: snapshot-backup.sh SOURCE TARGET [KEEP]
# Restore by copying out of any snapshot with cp or rsync; no special program is needed.
set -euo pipefail

source_dir=${1:?usage: snapshot-backup.sh SOURCE TARGET [KEEP]}
target_dir=${2:?usage: snapshot-backup.sh SOURCE TARGET [KEEP]}
keep=${3:-30}
stamp=$(date +%Y-%m-%dT%H%M%S)
partial="$target_dir/.partial"
latest="$target_dir/latest"

# A marker file proves that the external disk is mounted. Without this check an absent disk means
# that we fill up the root partition instead.
if [[ ! -e "$target_dir/.backup-disk" ]]; then
    echo "error: $target_dir is not the backup disk (no .backup-disk marker)" >&2
    exit 1
fi

# One run at a time: a second one would write into the same partial folder.
exec 9>"$target_dir/.lock"
flock --nonblock 9 || { echo "error: another backup is running" >&2; exit 1; }

link_option=()
if [[ -d "$latest" ]]; then
    link_option=(--link-dest="$(readlink -f "$latest")")
fi

# --delete makes the partial folder from an aborted run correct again. The trailing slash copies the
# content of the source and not the folder itself.
rsync --archive --hard-links --acls --xattrs --delete "${link_option[@]}" "$source_dir/" "$partial/"

# Renaming is atomic: a snapshot with a date in its name is always complete.
mv "$partial" "$target_dir/$stamp"
ln --symbolic --force --no-dereference "$stamp" "$latest"

# Names sort by time, so everything but the last KEEP can go.
find "$target_dir" -maxdepth 1 -type d -name '20*' | sort | head --lines="-$keep" | while read -r old; do
    rm --recursive --force "$old"
done
