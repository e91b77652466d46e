// make_golden FOLDER [SUFFIX]: writes FOLDER/KIND-VERSION[SUFFIX].h5 for each kind whose latest
// version has no file there yet.
#include <fmt/core.h>

#include <filesystem>

#include "format/kinds.h"
#include "io/artifact.h"

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "usage: make_golden FOLDER [SUFFIX]\n");
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  const std::string suffix = argc > 2 ? argv[2] : "";
  for (const auto& kind : cachectl::format_test::all_kinds()) {
    const auto version = cachectl::io::format_of(kind.magic).latest;
    const auto path = folder / fmt::format("{}-{}{}.h5", kind.name, version, suffix);
    if (std::filesystem::exists(path)) continue;
    kind.build(path.string());
    fmt::print("{}\n", path.string());
  }
}
