#include "common/run.h"
#include "eval/eval.h"

int main(int argc, char** argv) {
  using namespace cachectl;
  eval::Options options;
  return app::run(
      "eval", argc, argv, options.common,
      [&](OptionTable& table) { eval::describe(table, options); }, [&] { eval::run(options); });
}
