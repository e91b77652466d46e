#include "base/memory.h"
#include "common/run.h"
#include "eval/eval.h"
#include "report/report.h"

int main(int argc, char** argv) {
  using namespace cachectl;
  memory::keep_freed();
  eval::Options options;
  return app::run(
      "eval", argc, argv, options.common,
      [&](OptionTable& table) { eval::describe(table, options); },
      [&] {
        const artifact::Report report = eval::run(options);
        if (!options.html.empty()) report::write_html(options.html, report);
      });
}
