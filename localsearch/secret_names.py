"""Secrets by name: folders and files of keys, passwords and browser data, on disk and within archives alike."""

from __future__ import annotations

import re

_FOLDERS = frozenset(
    b"""
    .ssh .gnupg .password-store .pass .aws .azure .kube .docker .mozilla .librewolf .waterfox .tor-browser
    """.split()
)
_PLACES = tuple(
    b"""
    /.config/gcloud /.config/google-chrome /.config/google-chrome-beta /.config/chromium
    /.config/BraveSoftware /.config/microsoft-edge /.config/vivaldi /.config/opera /.config/Bitwarden
    /.config/rclone /.config/gh /.config/op /.config/sops /.electrum/wallets /.bitcoin/wallets /.ethereum/keystore
    /.local/share/keyrings /.local/share/kwalletd /.pki/nssdb /Library/Keychains
    """.split()
)
"""Secret by where they stand: a folder called `chromium` elsewhere may hold its documentation."""
_NAMES = frozenset(
    b"""
    .env .envrc .netrc _netrc .pgpass pgpass.conf .my.cnf .mylogin.cnf .git-credentials .htpasswd .npmrc .pypirc
    .dockercfg .s3cfg .boto .pass .vault-token .histfile .lesshst .viminfo .sh_history .bash_history .zsh_history
    .python_history .psql_history .mysql_history .sqlite_history .rediscli_history .node_repl_history .irb_history
    fish_history consolehost_history.txt id_rsa id_dsa id_ecdsa id_ed25519 id_ecdsa_sk id_ed25519_sk
    key3.db signons.sqlite secring.gpg wallet.dat .terraformrc credentials.tfrc.json rclone.conf .smbcredentials
    hs_ed25519_secret_key .vault_pass .esmtprc .msmtprc .fetchmailrc .muttrc_secrets
    """.split()
)
_SUFFIXES = tuple(
    b"""
    .kdbx .kdb .psafe3 .agilekeychain .1pux .1pif .opvault .keychain .keychain-db .keystore .jks .p12 .pfx .ppk
    .pass .ovpn .keytab .kwl .keyring
    """.split()
)
_PUBLIC = frozenset({b".env.example", b".env.sample", b".env.template", b".env.dist", b".env.defaults"})
_COPY = re.compile(rb"(?:~|\.(?:bak|old|orig|save|backup|copy))+\Z")
"""What editors and people add to the name of a copy."""


def is_secret_folder(name: bytes, path: bytes) -> bool:
    """Whether a folder is one of keys, passwords or browser data, by its name or by where it stands."""
    return name in _FOLDERS or path.endswith(_PLACES)


def is_secret_name(name: bytes) -> bool:
    """Whether a file is a key, a password store or a private history, by its name or by that of a copy, in any case."""
    plain = _COPY.sub(b"", name.lower())
    if plain in _NAMES or plain.endswith(_SUFFIXES):
        return True
    return plain.startswith(b".env.") and plain not in _PUBLIC
