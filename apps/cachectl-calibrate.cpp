#include "calibrate/calibrate.h"
#include "common/run.h"

int main(int argc, char** argv) {
  using namespace cachectl;
  calibrate::Options options;
  return app::run(
      "calibrate", argc, argv, options.common,
      [&](OptionTable& table) { calibrate::describe(table, options); },
      [&] { calibrate::run(options); });
}
