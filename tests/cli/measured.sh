# scripts/measured.py: what a command took, with what interrupted runs before it took.
source "$(dirname "$0")/support.sh"
measured=$source_dir/scripts/measured.py
field() { sed -n "s/.*\"$1\": \([0-9.]*\).*/\1/p" step.json; }
earlier() { echo '{"command": "x", "seconds": 1000.5, "peak_bytes": 99999999999}' >step.json.part; }

run 0 "$measured" step.json sh -c 'sleep 0.2'
awk -v seconds="$(field seconds)" 'BEGIN { exit !(seconds >= 0.2 && seconds < 100) }'
[ "$(field peak_bytes)" -gt 100000 ]
run 5 "$measured" none.json sh -c 'exit 5'
[ ! -e none.json ]
[ -e none.json.part ]
run 143 "$measured" none.json sh -c 'kill -TERM $$'

# Whether the interrupted run was counted, or not.
counted() { awk -v seconds="$(field seconds)" 'BEGIN { exit !(seconds > 1000) }'; }
anew() { awk -v seconds="$(field seconds)" 'BEGIN { exit !(seconds < 100) }'; }
printf '#!/bin/sh\nexit 0\n' >tool
chmod +x tool
earlier
touch out.h5.partial
run 0 "$measured" step.json ./tool --out out.h5 --resume
counted
[ "$(field peak_bytes)" = 99999999999 ]
[ ! -e step.json.part ]

# Begun anew: it was not asked to go on, there is nothing to go on from, or the settings are others.
earlier
run 0 "$measured" step.json ./tool --out out.h5
anew
earlier
rm out.h5.partial
run 0 "$measured" step.json ./tool --out out.h5 --resume
anew
touch out.h5.partial.2
earlier
touch -d '1 minute ago' step.asked
run 0 "$measured" step.json ./tool --out out.h5 --resume
counted
earlier
touch -d 'now + 1 minute' step.asked
run 0 "$measured" step.json ./tool --out out.h5 --resume
anew

# A note that cannot be read counts for nothing.
rm step.asked
echo '{' >step.json.part
run 0 "$measured" step.json ./tool --out out.h5 --resume
anew
