#include "common/run.h"
#include "select/select.h"

int main(int argc, char** argv) {
  using namespace cachectl;
  select::Options options;
  return app::run(
      "select", argc, argv, options.common,
      [&](OptionTable& table) { select::describe(table, options); }, [&] { select::run(options); });
}
