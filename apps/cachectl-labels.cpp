#include "common/run.h"
#include "labels/labels_file.h"

int main(int argc, char** argv) {
  using namespace cachectl;
  labels::Options options;
  return app::run(
      "labels", argc, argv, options.common,
      [&](OptionTable& table) { labels::describe(table, options); }, [&] { labels::run(options); });
}
