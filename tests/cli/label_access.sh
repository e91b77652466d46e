# No executable but cachectl-eval, cachectl-backbone and cachectl-labels holds the code that reads labels.
. "$(dirname "$0")/support.sh"

command -v nm >/dev/null || skip "no nm here"
reader='cachectl::labels::open_labels'
checked=0
for tool in "$bin"/cachectl "$bin"/cachectl-*; do
  nm -C "$tool" > symbols
  # The symbols are there to be seen at all: a stripped file would pass in silence.
  says symbols ' main'
  case $(basename "$tool") in
    cachectl-eval | cachectl-backbone | cachectl-labels) says symbols "$reader" ;;
    *)
      if grep -F "$reader" symbols; then
        echo "$(basename "$tool") can read labels" >&2
        exit 1
      fi
      ;;
  esac
  checked=$((checked + 1))
done
[ "$checked" -ge 2 ]
