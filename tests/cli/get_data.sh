# data/get.sh: takes a whole set as it is, and refuses an archive of the wrong content.
. "$(dirname "$0")/support.sh"
get=$source_dir/data/get.sh

run 2 "$get"
says err "get.sh cifar10|cifar100"
run 2 "$get" mnist
run 0 "$get" --help
says out "ARCHIVE"
empty err

mkdir -p set/cifar-100-binary
truncate -s $((50000 * 3074)) set/cifar-100-binary/train.bin
truncate -s $((10000 * 3074)) set/cifar-100-binary/test.bin
run 0 "$get" cifar100 set
says out "is there"

echo "not found" > page.html
run 4 "$get" cifar10 other page.html
says err "page.html: SHA-256 is"
[ -z "$(ls -A other)" ]
truncate -s 5 set/cifar-100-binary/test.bin
run 3 "$get" cifar100 set none.tar.gz
says err "none.tar.gz: cannot be read"
[ -e set/cifar-100-binary/train.bin ]
