#include "collect/collect.h"
#include "common/run.h"

int main(int argc, char** argv) {
  using namespace cachectl;
  collect::Options options;
  return app::run(
      "collect", argc, argv, options.common,
      [&](OptionTable& table) { collect::describe(table, options); },
      [&] { collect::run(options); });
}
