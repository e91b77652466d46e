#include "base/memory.h"
#include "common/run.h"
#include "profile/profile.h"

int main(int argc, char** argv) {
  using namespace cachectl;
  memory::keep_freed();
  profile::Options options;
  return app::run(
      "profile", argc, argv, options.common,
      [&](OptionTable& table) { profile::describe(table, options); },
      [&] { profile::run(options); });
}
