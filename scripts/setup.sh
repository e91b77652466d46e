#!/usr/bin/env bash
# Installs the packages of scripts/packages.txt that are missing, then the npm packages of
# web/package-lock.json, and nothing else.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")

if ! command -v dpkg-query >/dev/null; then
  echo "setup: this machine has no dpkg; install by hand what $here/packages.txt lists" >&2
  exit 0
fi

# The pages' packages, where the lock file is newer than what is there.
fetch_web() {
  local web=$here/../web
  [ "$web/node_modules/.package-lock.json" -nt "$web/package-lock.json" ] && return
  echo "setup: fetching the packages of web/package-lock.json" >&2
  (cd "$web" && npm ci --no-progress --loglevel=error >&2 && touch node_modules/.package-lock.json)
}

mapfile -t wanted < <(grep -v '^#' "$here/packages.txt")
missing=()
for package in "${wanted[@]}"; do
  case $package in  # node from elsewhere serves too, and Debian's npm refuses to stand beside it
    nodejs) command -v node >/dev/null && continue ;;
    npm) command -v npm >/dev/null && continue ;;
  esac
  state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$state" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  fetch_web
  exit 0
fi

sudo=()
if [ "$(id -u)" -ne 0 ]; then
  if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    sudo=(sudo)
  else
    {
      echo "setup: ${#missing[@]} packages are missing, and installing them needs root. Run:"
      echo "  sudo sh -c 'apt-get update && apt-get install -y --no-install-recommends ${missing[*]}'"
    } >&2
    exit 1
  fi
fi
echo "setup: installing ${missing[*]}" >&2
"${sudo[@]}" apt-get update -qq
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fetch_web
