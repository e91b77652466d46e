#include "base/memory.h"
#include "common/run.h"
#include "serve/serve.h"

int main(int argc, char** argv) {
  using namespace cachectl;
  memory::keep_freed();
  serve::Options options;
  return app::run(
      "serve", argc, argv, options.common,
      [&](OptionTable& table) { serve::describe(table, options); }, [&] { serve::run(options); });
}
