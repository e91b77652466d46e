# pipelines/backbone.sh: when an experiment's backbone is made, made anew, or kept. The tools are
# stand-ins that note how they were called.
source "$(dirname "$0")/support.sh"
step=$source_dir/pipelines/backbone.sh
export BIN=$PWD/tools
mkdir tools data
cat >tools/cachectl-backbone <<'TOOL'
#!/usr/bin/env bash
if [[ " $* " == *" --list-settings "* ]]; then
  grep '^backbone_training' "$3"
  echo data/train.bin
  exit
fi
echo "$*" >>calls
[ ! -f fails ] || exit 5
while [ "$1" != --out ]; do shift; done
echo "trained $RANDOM" >"$2"
TOOL
cat >tools/cachectl-profile <<'TOOL'
#!/usr/bin/env bash
case " $* " in
  *" --list-settings "*) sed -n 's/^# names /backbone.path: /p' "$2" ;;
  *" --list-inputs "*) echo data/other.pt && sed -n 's|^# names |data/|p' "$2" ;;
esac
TOOL
chmod +x tools/*
touch data/train.bin
# called N [FLAGS...]: the trainer is called so often; what is said with --own is in `own`.
called() {
  : >calls
  own=$("$step" --own x.yaml run "${@:2}")
  empty calls
  run 0 "$step" x.yaml run "${@:2}"
  [ "$(wc -l <calls)" -eq "$1" ] || { echo "not $1 times:" >&2; cat calls >&2; return 1; }
}

# The configuration brings a backbone.
echo "backbone: {path: some.pt}" >x.yaml
called 0
[ "$own" = "" ]
[ ! -e run ]

echo "backbone_training: {epochs: 1}" >x.yaml
called 1 --seed 2
[ "$own" = made ]
says calls "train --config x.yaml --force --out run/backbone.pt --seed 2"
[ -s run/steps/backbone.json ]
called 0 --seed 2
[ "$own" = made ]
# Other settings, other data.
echo "backbone_training: {epochs: 2}" >x.yaml
sleep 0.01
called 1
called 0
echo images >data/train.bin
called 1
called 0

# One that fails is no backbone; the next run goes on from what it left.
rm run/backbone.pt
touch fails run/backbone.pt.partial
run 5 "$step" x.yaml run
rm fails
called 1
says calls "--force --resume --out run/backbone.pt"
rm run/backbone.pt.partial
called 0

# Somebody's own, in its place.
echo "one's own" >run/backbone.pt
echo "backbone_training: {epochs: 3}" >x.yaml
called 0
[ "$own" = kept ]

# A file that the configuration names is used where it is there.
rm run/backbone.pt
echo "# names there.pt" >>x.yaml
touch data/there.pt
called 0
[ "$own" = "" ]
rm data/there.pt
called 1
[ "$own" = made ]

# A recipe beside the configuration comes first.
echo 'exec "$BIN/cachectl-backbone" train x.yaml --arch tiny "$@"' >x.backbone.sh
rm -r run
called 1 --threads 2
says calls "train x.yaml --arch tiny --force --out run/backbone.pt --threads 2"
called 0 --threads 2
