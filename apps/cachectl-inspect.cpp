#include "common/run.h"
#include "inspect/inspect.h"

int main(int argc, char** argv) {
  using namespace cachectl;
  inspect::Options options;
  return app::run(
      "inspect", argc, argv, options.common,
      [&](OptionTable& table) { inspect::describe(table, options); },
      [&] { inspect::run(options); });
}
