#include "base/memory.h"
#include "common/run.h"
#include "zoo/import.h"
#include "zoo/info.h"
#include "zoo/train.h"

int main(int argc, char** argv) {
  using namespace cachectl;
  memory::keep_freed();
  zoo::ListOptions list;
  zoo::TrainOptions train;
  zoo::ImportOptions import;
  zoo::InfoOptions info;
  return app::run(
      "backbone", argc, argv,
      {{"list", "show the architectures", &list.common,
        [&](OptionTable& table) { zoo::describe(table, list); }, [&] { zoo::run_list(list); }},
       {"train", "train an architecture on a labelled data set", &train.common,
        [&](OptionTable& table) { zoo::describe(table, train); }, [&] { zoo::run_train(train); }},
       {"import", "fill an architecture from a state dict", &import.common,
        [&](OptionTable& table) { zoo::describe(table, import); },
        [&] { zoo::run_import(import); }},
       {"info", "look into a TorchScript file", &info.common,
        [&](OptionTable& table) { zoo::describe(table, info); }, [&] { zoo::run_info(info); }}});
}
