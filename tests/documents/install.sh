#!/usr/bin/env bash
# Install what the tests of this folder open documents with: Chromium, LaTeX, poppler. Elsewhere than as root on Debian
# or Ubuntu nothing is installed, and the tests that lack a program are skipped with a reason.
set -euo pipefail
missing=()
command -v chromium >/dev/null || missing+=(chromium)
command -v pdflatex >/dev/null || missing+=(texlive-latex-recommended)
command -v pdftoppm >/dev/null || missing+=(poppler-utils)
if [ ${#missing[@]} = 0 ]; then exit 0; fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "install.sh: not installed: ${missing[*]} (needs root on Debian or Ubuntu)" >&2
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq --yes --no-install-recommends "${missing[@]}" >/dev/null
