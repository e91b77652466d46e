#include "base/memory.h"
#include "common/run.h"
#include "search/search.h"

int main(int argc, char** argv) {
  using namespace cachectl;
  memory::keep_freed();
  search::Options options;
  return app::run(
      "search", argc, argv, options.common,
      [&](OptionTable& table) { search::describe(table, options); }, [&] { search::run(options); });
}
