#include "common/run.h"
#include "profile/profile.h"

int main(int argc, char** argv) {
  using namespace cachectl;
  profile::Options options;
  return app::run(
      "profile", argc, argv, options.common,
      [&](OptionTable& table) { profile::describe(table, options); },
      [&] { profile::run(options); });
}
