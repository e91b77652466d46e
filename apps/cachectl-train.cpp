#include "base/memory.h"
#include "common/run.h"
#include "train/train.h"

int main(int argc, char** argv) {
  using namespace cachectl;
  memory::keep_freed();
  train::Options options;
  return app::run(
      "train", argc, argv, options.common,
      [&](OptionTable& table) { train::describe(table, options); }, [&] { train::run(options); });
}
